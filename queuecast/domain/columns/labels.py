"""The column names of a frame whose names are not all text: numbers, dates, tuples, several levels.

Such a column travels under its text, `str(name)`, and the estimator's frame gets the names themselves back.
"""

from dataclasses import dataclass
from typing import Any

Label = tuple[str, Any]
"""The class of a name, and the name as a JSON value; a list of labels for a tuple."""
RANGE = "range"
"""The dtype of a level that is a RangeIndex."""


@dataclass(frozen=True, slots=True)
class LabelLevel:
    """One level of the names. name: of the level itself. dtype: of the index; empty if it follows from the labels."""

    name: Label
    dtype: str
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """The names of all columns, in their order, with one level, or several in a MultiIndex."""

    levels: tuple[LabelLevel, ...]
    is_multi: bool = False

    def __hash__(self) -> int:
        """Of a part: each call of an estimator looks its labels up."""
        return hash((self.is_multi, len(self.levels), len(self.levels[0].labels) if self.levels else 0))


def numbered(width: int, prefix: str = "x") -> list[str]:
    """x0, x1, ...: the names of columns without names."""
    return [f"{prefix}{index}" for index in range(width)]
