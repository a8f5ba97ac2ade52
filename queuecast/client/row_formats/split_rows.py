"""The two sides of rows that `queuecast.holdout` split: those of the fit, and those that are held out.

Recognizes the objects of numpy, scipy, pandas and polars by their attributes, so that the client needs none of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from queuecast.client.row_formats.chosen_rows import length, take
from queuecast.client.row_formats.fit_tables import fit_table
from queuecast.client.row_formats.table_files import TableFile
from queuecast.client.row_formats.training_tables import are_whole_rows, training_file
from queuecast.domain.holdout import HoldoutRule, Split


def has_both_sides(rows: Any, split: Split | HoldoutRule | None) -> bool:
    """Whether `rows` are all rows of the split, not only those of the fit. Raises ValueError for another number."""
    if not isinstance(split, Split):
        return False
    n_rows, n_train, n_test = length(rows), len(split.train), len(split.test)
    if n_rows not in (n_train, n_train + n_test):
        raise ValueError(
            f"X has {n_rows} rows, expected all {n_train + n_test} of the split, or the {n_train} that are not held out"
        )
    return n_test > 0 and n_rows == n_train + n_test


@contextmanager
def held_out_table(x: Any, y: Any, split: Split, names: Sequence[str]) -> Iterator[TableFile]:
    """A file of the held-out rows and their targets, as for a training."""
    rows, target = take(x, split.test), take(y, split.test)
    with training_file(rows, target, names) if are_whole_rows(rows) else fit_table(rows, target, names) as table:
        yield table
