"""Which parameters a training may set: those that the champion's estimator has, also in the grid of a search."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from queuecast.domain.errors import Finding, mismatch, short_name
from queuecast.domain.findings.bounds import MAX_FINDINGS, list_names
from queuecast.domain.findings.json_texts import escaped
from queuecast.domain.findings.nearest_names import NearestNames

_GRIDS = ("param_grid", "param_distributions")


def unknown_params(params: Mapping[str, Any], known: Collection[str], pointer: str = "/params") -> tuple[Finding, ...]:
    """A finding for each parameter that the estimator lacks; of many, the first.

    known: the names of its parameters. Empty if they are not known: a manifest of an earlier release has none.
    """
    findings = _findings(params, known, pointer) if known else ()
    return tuple(finding for finding, _ in zip(findings, range(MAX_FINDINGS), strict=False))


def grid_prefix(name: str) -> str | None:
    """What the names in a grid lack: `search__estimator__` for `search__param_grid`. None for another parameter."""
    owner, separator, own_name = name.rpartition("__")
    return f"{owner}{separator}estimator__" if own_name in _GRIDS else None


def _findings(params: Mapping[str, Any], known: Collection[str], pointer: str) -> Iterator[Finding]:
    names = None
    for name, value in params.items():
        place, prefix = f"{pointer}/{escaped(name)}", grid_prefix(name)
        if name not in known:
            names = names or NearestNames(known)
            yield _unknown(place, name, names.of(name), known)
        elif prefix is not None:
            inner = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
            for index, grid in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(grid, Mapping):
                    yield from _findings(grid, inner, f"{place}/{index}" if isinstance(value, list) else place)


def _unknown(place: str, name: str, nearest: str | None, known: Collection[str]) -> Finding:
    expected = f"one of {list_names(known)}" if nearest is None else repr(nearest)
    finding = mismatch(place, "invalid_params", f"an unknown parameter {short_name(name)!r}", expected)
    return replace(finding, nearest=nearest)
