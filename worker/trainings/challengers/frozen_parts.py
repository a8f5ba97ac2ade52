"""Names the parts of an estimator that a fit leaves as they were.

The `fit` of scikit-learn's `FrozenEstimator` does nothing, and `clone` returns the estimator itself.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from sklearn.frozen import FrozenEstimator

from queuecast.domain.errors import Finding, InvalidInputError, short_name
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.findings.json_texts import escaped


def frozen_parts(estimator: Any) -> tuple[str, ...]:
    """The names of the frozen parts, as for `set_params`; "" is the estimator itself."""
    if isinstance(estimator, FrozenEstimator):
        return ("",)
    with suppress(Exception):  # an estimator raises what it likes
        return tuple(name for name, part in estimator.get_params().items() if isinstance(part, FrozenEstimator))
    return ()


def require_not_frozen(estimator: Any, params: Collection[str]) -> None:
    """Raises InvalidInputError for a parameter of a frozen part: it would change the champion, which has the same part.

    A parameter may replace the whole part.
    """
    for part in frozen_parts(estimator):
        for name in params:
            if name.startswith(f"{part}__" if part else ""):
                what = f"the part {short_name(part)!r}" if part else "the estimator"
                detail = f"{what} is frozen, so the parameter {short_name(name)!r} cannot be set"
                finding = Finding(f"/params/{escaped(name)}", "frozen_part", detail)
                raise InvalidInputError(f"the parameters do not fit the estimator: {detail}", (finding,))


def not_refitted(challenger: Any) -> Iterator[DataFinding]:
    """A finding if the fit of the challenger left parts as they were."""
    names = frozen_parts(challenger)
    if not names:
        return
    if names == ("",):
        detail = "the estimator is frozen: it was not refitted, and it answers as before"
    else:
        parts, are = ("part", "is") if len(names) == 1 else ("parts", "are")
        detail = f"the {parts} {list_names(names)} {are} frozen, and kept the state that the champion has"
    yield DataFinding("frozen_parts", Severity.INFO, detail)
