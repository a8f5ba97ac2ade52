"""Columns of a training file that a model does not have, and by which its rows are split."""

from collections.abc import Sequence

from queuecast.domain.columns.labels import numbered
from queuecast.domain.errors import InvalidInputError, shortened
from queuecast.domain.holdout import HoldoutRule, decides_by_meaning
from queuecast.domain.holdout.row_source import TEXT
from queuecast.domain.signature import Layout, Signature


def columns_outside(names: Sequence[str], signature: Signature) -> tuple[str, ...]:
    """Those of the names that no feature has, such as the id of a customer. names: the columns of a holdout rule.

    As many other names as an array has columns are those of the frame that it was: `holdout(frame)` lists all of them.
    """
    if not names:
        return ()
    known = {column.name for column in signature.columns}
    if signature.takes_lists:
        known.update(numbered(len(signature.columns)))
        if len(names) == len(signature.columns) and known.isdisjoint(names):
            return ()
    if signature.layout is Layout.TEXT:
        known.add(TEXT)
    elif signature.layout is Layout.OBJECT:
        if signature.objects.has_more_keys:
            return ()
        known = {key.name for key in signature.objects.keys}
    return tuple(name for name in names if name not in known)


def require_known_meaning(rule: HoldoutRule, signature: Signature) -> None:
    """Raises InvalidInputError for an old rule with such columns: it compares values by their type, which only the
    columns of a model have in every format."""
    outside = () if decides_by_meaning(rule) else columns_outside(rule.columns, signature)
    if outside:
        raise InvalidInputError(
            f"the rows were split by the column {shortened(repr(outside[0]))}, which the model does not take, and by "
            f"{rule.method}, which depends on the types of its values. Split and fit again with queuecast.holdout"
        )
