"""A missing value of any library is recognized by the name of its type."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from queuecast.domain.columns.missing_values import is_missing, missing_kind
from queuecast.domain.signature import Missing

MISSING = {
    Missing.NONE: [None],
    Missing.NAN: [float("nan"), np.float64("nan"), np.float32("nan"), np.float16("nan"), Decimal("NaN")],
    Missing.NA: [pd.NA],
    Missing.NAT: [pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT")],
}
PRESENT = [
    *(0, False, 0.0, -0.0, float("inf"), "", "nan", "NA", "None", b"", [], {}, [None]),
    *(np.int64(0), np.float32(1.5), np.bool_(False), np.str_("NaT"), np.datetime64("2026-01-31"), np.timedelta64(0)),
    *(pd.Timestamp("2026-01-31"), pd.Timedelta(0), datetime(2026, 1, 31, tzinfo=UTC), Decimal(0), 1 + 2j),
]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in MISSING.items() for value in values])
def test_a_missing_value_has_the_kind_that_a_signature_names(kind: Missing, value: Any) -> None:
    assert (missing_kind(value), is_missing(value)) == (kind, True)
    assert pd.isna(value)


@pytest.mark.parametrize("value", PRESENT, ids=repr)
def test_another_value_is_not_missing(value: Any) -> None:
    assert (missing_kind(value), is_missing(value)) == (None, False)
