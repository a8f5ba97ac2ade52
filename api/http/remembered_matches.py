"""A URL adapter that remembers the paths that it has matched (docs/performance.md)."""

from typing import Any

from werkzeug.routing import MapAdapter, Rule

Matches = dict[tuple[str, str], tuple[Rule, dict[str, Any]]]
"""Method and path, or the path of a job with its id left out -> the rule, and the values in the path."""
_JOB = "/job_"


class RememberingAdapter(MapAdapter):
    """Finds a path that was requested before, or that of another job, without a search through the rules."""

    def __init__(self, matches: Matches, *args: Any) -> None:
        """matches: shared by all requests. args: those of MapAdapter."""
        super().__init__(*args)
        self._matches = matches

    def match(self, path_info: str | None = None, *args: Any, **options: Any) -> Any:
        if path_info is not None or args or options != {"return_rule": True}:
            return super().match(path_info, *args, **options)
        before, marker, rest = self.path_info.partition(_JOB)
        number, slash, after = rest.partition("/")
        key = self.default_method, f"{before}{marker}{slash}{after}"
        known = self._matches.get(key)
        if known is None:
            rule, values = super().match(return_rule=True)
            known = rule, dict(values)
            # A key without the id is good for every job, if the id is all that the rule takes from the path. The bound
            # keeps callers from filling the memory.
            if (not marker or known[1] == {"job_id": f"job_{number}"}) and len(self._matches) < 256:
                self._matches[key] = known
            return known
        return known[0], {"job_id": f"job_{number}"} if marker else dict(known[1])
