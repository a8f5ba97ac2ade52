"""Refuses the requests of other web sites, in WSGI middleware.

The gateway has no accounts, so a browser on a machine that reaches it would act for any page that it shows. A page can
send a request to a name of the gateway. Then the browser adds `Origin` and `Sec-Fetch-Site`, which a page cannot change
(WHATWG Fetch, W3C Fetch Metadata). Or the page makes a name of its own lead to the gateway's address (DNS rebinding).
Then `Host` has that name. A program sends neither `Origin` nor `Sec-Fetch-Site`.
"""

import ipaddress
import re
from collections.abc import Iterable, Set
from functools import lru_cache
from typing import Any

from api.http.errors import wsgi_refusal
from queuecast.domain.errors import ForeignPageError, QueuecastError, UnknownHostError, shortened

_SETTING = "QUEUECAST_API_HOSTS"
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(.*)")


class ForeignPages:
    """Passes requests on unless they come from a foreign page. hosts: the configured names of the gateway."""

    def __init__(self, hosts: Iterable[str], app: Any) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._app = app
        # A gateway sees few different values; a caller who sends many of them only pays for the comparison.
        self._error = lru_cache(maxsize=256)(self._compare)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        # Cut, because the cache keeps the values: no name of a gateway is longer.
        host, origin = environ.get("HTTP_HOST", "")[:300], environ.get("HTTP_ORIGIN", "")[:300]
        error = self._error(host, origin, environ.get("HTTP_SEC_FETCH_SITE", "")[:300])
        if error is None or (type(error) is ForeignPageError and _follows_link_to_docs(environ, origin)):
            return self._app(environ, start_response)
        return wsgi_refusal(error, environ)(environ, start_response)

    def _compare(self, host: str, origin: str, site: str) -> QueuecastError | None:
        """Why the request is refused. An absent header is empty; a browser always sends `Host`."""
        if host and not _is_own(_name(host), self._hosts):
            return UnknownHostError(
                f"Host is {shortened(host)!r}, which is no name of this gateway; set {_SETTING} to the names that "
                "reach it, or use localhost"
            )
        if site not in ("", "same-origin", "none"):
            return ForeignPageError(f"a page of another origin sent the request: Sec-Fetch-Site is {shortened(site)!r}")
        if origin and not self._is_own_origin(origin, host, is_same_origin=site == "same-origin"):
            return ForeignPageError(
                f"a page of another origin sent the request: Origin is {shortened(origin)!r}; if that is an address of "
                f"this gateway, behind a proxy, add its name to {_SETTING}"
            )
        return None

    def _is_own_origin(self, origin: str, host: str, *, is_same_origin: bool) -> bool:
        """Whether a page of the gateway itself has this origin.

        A proxy may change `Host`: then the origin has a configured name. Another port of the same machine is another
        origin, unless the browser, which knows the address it used, says that it is the same.
        """
        match = _ORIGIN.fullmatch(origin.lower())
        if match is None:  # `null`: a file, or a page in a sandbox
            return False
        if match[1] == host.lower():
            return True
        name = _name(match[1])
        is_other_name = name != _name(host)
        return _is_own(name, self._hosts) if is_same_origin else is_other_name and name in self._hosts


def _follows_link_to_docs(environ: dict[str, Any], origin: str) -> bool:
    """A person clicked a link to the page that shows the API. It opens in a tab, which the other page cannot read."""
    return (
        not origin
        and environ["PATH_INFO"] == "/docs"
        and environ["REQUEST_METHOD"] == "GET"
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )


def _is_own(name: str | None, hosts: Set[str]) -> bool:
    return name is not None and (name == "localhost" or name in hosts or _is_loopback(name))


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(authority: str) -> str | None:
    """The name or address in `name:port`, in lower case and without brackets; None for anything else."""
    match = _AUTHORITY.fullmatch(authority.lower())
    return match and match[1].strip("[]").removesuffix(".")
