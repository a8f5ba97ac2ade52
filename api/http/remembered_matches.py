"""A URL adapter that remembers the paths it has matched (docs/performance.md)."""

from typing import Any

from werkzeug.routing import MapAdapter, Rule

Matches = dict[tuple[str, str], tuple[Rule, dict[str, Any]]]
"""Method and path -> the rule, and the values in the path."""


class RememberingAdapter(MapAdapter):
    """Finds a path that was requested before without a search through the rules."""

    def __init__(self, matches: Matches, *args: Any) -> None:
        """matches: shared by all requests. args: those of MapAdapter."""
        super().__init__(*args)
        self._matches = matches

    def match(self, path_info: str | None = None, *args: Any, **options: Any) -> Any:
        if path_info is not None or args or options != {"return_rule": True}:
            return super().match(path_info, *args, **options)
        key = self.default_method, self.path_info
        known = self._matches.get(key)
        if known is None:
            rule, values = super().match(return_rule=True)
            known = rule, dict(values)
            # The paths of models repeat, those of a job do not. The bound keeps callers from filling the memory.
            if "job_id" not in values and len(self._matches) < 256:
                self._matches[key] = known
        return known[0], dict(known[1])
