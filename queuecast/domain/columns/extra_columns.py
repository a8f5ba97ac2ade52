"""Columns that the given rows have and the model does not: ignored with a note in the job, or refused."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from queuecast.domain.errors import Finding, mismatch, short_name
from queuecast.domain.findings.bounds import and_rest

SHOWN_COLUMNS = 20


class ExtraColumns(StrEnum):
    """The caller's choice for columns that the model does not have."""

    IGNORE = "ignore"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class IgnoredColumns:
    """names: the first ones, shortened. count: of all."""

    names: tuple[str, ...]
    count: int

    @classmethod
    def of(cls, names: Collection[str]) -> "IgnoredColumns | None":
        return cls(_shown(names), len(names)) if names else None

    def joined(self, other: "IgnoredColumns | None") -> "IgnoredColumns":
        """With those of another file. Columns that are in both, and are not shown, count twice."""
        if other is None:
            return self
        names = dict.fromkeys([*self.names, *other.names])
        twice = len(self.names) + len(other.names) - len(names)
        return IgnoredColumns(_shown(names), self.count + other.count - twice)


def extra_columns_refusal(pointer: str, names: Collection[str]) -> Finding:
    """names: the columns of a file that the model does not have, at least one."""
    columns = (
        f"the column{'s' if len(names) > 1 else ''} {', '.join(_shown(names))}{and_rest(len(names) - SHOWN_COLUMNS)}"
    )
    finding = mismatch(pointer, "unknown_column", columns, "only columns that the model has")
    return replace(finding, column=short_name(next(iter(names))), columns=_shown(names))


def _shown(names: Collection[str]) -> tuple[str, ...]:
    return tuple(short_name(name) for name, _ in zip(names, range(SHOWN_COLUMNS), strict=False))
