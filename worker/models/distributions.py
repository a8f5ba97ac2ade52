"""Makes the frozen distributions of a search again, from the names and numbers that a model file holds.

See `queuecast.savable_parts` for the reason that the file does not hold the distributions themselves.
"""

from typing import Any

import scipy.stats
from scipy.stats import rv_continuous, rv_discrete

from queuecast.domain.errors import ModelRefusedError
from queuecast.savable_parts import DISTRIBUTION, with_replaced_parts


def with_distributions(estimator: Any) -> Any:
    """Raises ModelRefusedError for a name that scipy.stats does not have, and for arguments that are not numbers."""
    return with_replaced_parts(estimator, _distribution)


def _distribution(part: Any) -> Any:
    if not isinstance(part, dict) or part.keys() != {DISTRIBUTION, "args", "kwds"}:
        return part
    name, args, kwds = part[DISTRIBUTION], part["args"], part["kwds"]
    family = getattr(scipy.stats, name, None) if isinstance(name, str) else None
    if not isinstance(family, rv_continuous | rv_discrete):
        raise ModelRefusedError(f"the model holds a distribution {name!r}, which scipy.stats does not have")
    if not all(isinstance(value, int | float) for value in [*args, *kwds.values()]):
        raise ModelRefusedError(f"the model holds a distribution {name!r} with arguments that are not numbers")
    return family(*args, **kwds)
