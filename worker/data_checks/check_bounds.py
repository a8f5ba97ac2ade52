"""How much the checks read, so that their time is bounded, and from where on a fact is a finding."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckBounds:
    """rows, columns: of a sample for the checks of single columns and for the reference; the columns are the first.

    leak_rows: of the sample for leaks, whose models take longer. hashed_rows: that are compared with one another.
    bins, categories: of a column in a reference. reference_bytes: of all its columns.
    few_rows, few_of_a_class: with fewer rows to fit on, in all and of one label, there is a finding.
    large_shift: of the population stability index of a column, by convention. moved_target: the same of a target.
    leak: the score of a model with one column from which on the column gives the target away.
    """

    rows: int = 50_000
    columns: int = 200
    leak_rows: int = 10_000
    hashed_rows: int = 200_000
    bins: int = 20
    categories: int = 50
    reference_bytes: int = 256 * 1024
    few_rows: int = 100
    few_of_a_class: int = 20
    large_shift: float = 0.2
    moved_target: float = 0.1
    leak: float = 0.995


BOUNDS = CheckBounds()
