"""Finds the name that a caller probably meant: after a refusal only, and in bounded time among thousands of names."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from heapq import nlargest
from itertools import islice

from queuecast.domain.errors import Finding, short_name
from queuecast.domain.findings.bounds import FirstFindings

MAX_KNOWN = 10_000
COMPARED = 20  # difflib takes some 0.1 ms for a name, so it compares those that share the most letters


class NearestNames:
    """The known names, prepared for several questions."""

    def __init__(self, known: Iterable[str]) -> None:
        names = {short_name(name).lower(): name for name in islice(known, MAX_KNOWN)}
        self._names = [(text, _pieces(text), name) for text, name in names.items()]

    def of(self, name: str) -> str | None:
        """The known name that is the nearest to an unknown one; None if none is near."""
        text = short_name(name).lower()
        pieces = _pieces(text)
        likely = nlargest(COMPARED, self._names, lambda each: len(pieces & each[1]) / (len(pieces) + len(each[1])))
        by_text = {known: original for known, _, original in likely if original != name}
        near = difflib.get_close_matches(text, by_text, n=1)
        return short_name(by_text[near[0]]) if near else None


def did_you_mean(nearest: str | None) -> str:
    """The end of a sentence about an unknown name."""
    return "" if nearest is None else f"; did you mean {nearest!r}?"


def unknown_name(finding: Finding, name: str, known: Iterable[str]) -> Finding:
    """The finding about an unknown name, with the nearest of the known ones."""
    nearest = NearestNames(known).of(name)
    return (
        finding if nearest is None else replace(finding, detail=finding.detail + did_you_mean(nearest), nearest=nearest)
    )


def with_nearest(findings: FirstFindings, known: Iterable[str], given: Iterable[str]) -> FirstFindings:
    """Adds the nearest names to the findings about columns.

    known: the columns of the model, for an unknown one. given: the other columns of the caller, for a missing one.
    """
    codes = {finding.code for finding in findings.first}
    of_unknown = NearestNames(known if "unknown_column" in codes else ())
    of_missing = NearestNames(given if "missing_column" in codes else ())

    def suggested(finding: Finding) -> Finding:
        if finding.code == "unknown_column" and finding.column is not None:
            nearest = of_unknown.of(finding.column)
            detail = finding.detail + did_you_mean(nearest)
        elif finding.code == "missing_column" and finding.column is not None:
            nearest = of_missing.of(finding.column)
            detail = finding.detail + ("" if nearest is None else f" (the nearest is {nearest!r})")
        else:
            return finding
        return finding if nearest is None else replace(finding, detail=detail, nearest=nearest)

    return replace(findings, first=tuple(map(suggested, findings.first)))


def _pieces(text: str) -> frozenset[str]:
    """Its letters, and its pairs of letters."""
    return frozenset(text) | {text[at : at + 2] for at in range(len(text) - 1)}
