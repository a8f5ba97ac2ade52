"""The names of a frame's columns as the text that travels, and as labels from which a worker makes the names again.

Recognizes the objects of pandas by their attributes, so that the client does not need the library.
"""

from collections import defaultdict
from typing import Any

from queuecast.domain.columns.labels import RANGE, FrameLabels, Label, LabelLevel
from queuecast.tables.plain_values import class_of_objects, text_of

_DTYPES = ("int", "uint", "float", "bool", "object", "str", "datetime64[", "timedelta64[")


def have_text_names(columns: Any) -> bool:
    """columns: of a frame."""
    return all(isinstance(name, str) for name in columns)


def text_names(columns: Any) -> list[str]:
    """`str(name)` of each column. Raises ValueError for two columns with the same text."""
    by_text: defaultdict[str, list[Any]] = defaultdict(list)
    texts = [str(name) for name in columns]
    for text, name in zip(texts, columns, strict=True):
        by_text[text].append(name)
    for text, names in by_text.items():
        if len(names) > 1 and all(isinstance(name, str) for name in names):
            raise ValueError(f"the column {text!r} occurs more than once; a row holds one value per name")
        if len(names) > 1:
            raise ValueError(
                f"the columns {names[0]!r} and {names[1]!r} have the same text {text!r}, under which a row has one "
                "value; rename one of them"
            )
    return texts


def labels_of(columns: Any) -> FrameLabels | None:
    """columns: the index of a frame's columns. None if all names are text.

    Raises ValueError for a name of a class that cannot be made again.
    """
    if have_text_names(columns):
        return None
    is_multi = hasattr(columns, "levels")
    # Without their names, because a level may have the number of another one for a name.
    unnamed = columns.set_names([None] * columns.nlevels)
    indexes = [unnamed.get_level_values(at) for at in range(columns.nlevels)] if is_multi else [unnamed]
    levels = (
        LabelLevel(_label(name), _dtype(index), tuple(map(_label, index)))
        for name, index in zip(columns.names, indexes, strict=True)
    )
    return FrameLabels(tuple(levels), is_multi)


def _dtype(index: Any) -> str:
    if hasattr(index, "start") and hasattr(index, "step"):
        return RANGE
    dtype = str(index.dtype)
    return dtype if dtype.startswith(_DTYPES) else ""


def _label(name: Any) -> Label:
    if isinstance(name, tuple):
        return "tuple", [_label(part) for part in name]
    kind = type(name).__name__
    if name is None or kind in ("NAType", "NaTType"):
        return kind, None
    if kind == "Period":
        return kind, [str(name), name.freqstr]
    return _label_of_scalar(name)


def _label_of_scalar(name: Any) -> Label:
    if type(name) in (int, float, bool):
        return type(name).__name__, str(name)
    if isinstance(name, str):
        return "str", str(name)
    of_class = _class_of_moment(name)
    if of_class:
        return of_class, text_of(name)
    if hasattr(name, "dtype") and hasattr(name, "item") and name.dtype.kind in "biuf":
        return f"numpy.{name.dtype}", str(name.item())
    raise ValueError(
        f"the column name {name!r} is a {type(name).__name__}, which cannot be sent; expected text, a number, a "
        "boolean, a date, a time, a duration, a period, or a tuple of them. Rename the columns: "
        "frame.columns = frame.columns.map(str)"
    )


def _class_of_moment(name: Any) -> str:
    try:
        return class_of_objects([name])
    except ValueError:  # numpy's
        return ""
