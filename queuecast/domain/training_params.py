"""Which parameters a training may set: those that the champion's estimator has, also in the grid of a search."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from queuecast.domain.errors import Finding, mismatch, short_name, shortened
from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.signature import escaped

_GRIDS = ("param_grid", "param_distributions")


def unknown_params(params: Mapping[str, Any], known: Collection[str]) -> tuple[Finding, ...]:
    """A finding for each parameter that the estimator lacks; of many, the first.

    known: the names of its parameters. Empty if they are not known: a manifest of an earlier release has none.
    """
    findings = _findings(params, known, "/params") if known else ()
    return tuple(finding for finding, _ in zip(findings, range(MAX_FINDINGS), strict=False))


def grid_prefix(name: str) -> str | None:
    """What the names in a grid lack: `search__estimator__` for `search__param_grid`. None for another parameter."""
    owner, separator, own_name = name.rpartition("__")
    return f"{owner}{separator}estimator__" if own_name in _GRIDS else None


def _findings(params: Mapping[str, Any], known: Collection[str], pointer: str) -> Iterator[Finding]:
    for name, value in params.items():
        place, prefix = f"{pointer}/{escaped(name)}", grid_prefix(name)
        if name not in known:
            yield mismatch(place, "invalid_params", f"an unknown parameter {short_name(name)!r}", _nearest(name, known))
        elif prefix is not None:
            inner = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
            for index, grid in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(grid, Mapping):
                    yield from _findings(grid, inner, f"{place}/{index}" if isinstance(value, list) else place)


def _nearest(name: str, known: Collection[str]) -> str:
    by_letters = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name[:200].lower(), by_letters, n=1)
    return repr(by_letters[near[0]]) if near else shortened(f"one of {', '.join(known)}", 500)
