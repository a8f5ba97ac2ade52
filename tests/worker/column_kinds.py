"""Columns of every kind and dtype that is served, with missing values where the dtype has one."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = ["2026-01-31T12:30:00", None, "1999-12-31T23:59:59", "2026-07-01T00:00:00"]
EXACT = ["2026-01-31T12:30:00.000000001", None, "1999-12-31T23:59:59.123456789", "2026-07-01T00:00:00"]
SPANS = ["1D", None, "-90s", "2h"]


def _of_arrow(kind: Any, values: list[Any]) -> Any:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def _objects(*values: Any) -> Any:
    return pd.Series(values, dtype=object)


def _categories(*values: Any, **options: Any) -> Any:
    return pd.Series(pd.Categorical(values, **options))


def _moments(unit: str, zone: str | None = None, texts: list[Any] = MOMENTS) -> Any:
    series = pd.Series(pd.to_datetime(texts, format="ISO8601")).astype(f"datetime64[{unit}]")
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


KINDS: dict[str, Any] = {
    "datetime64[s]": _moments("s"),
    "datetime64[us]": _moments("us"),
    "datetime64[ns]": _moments("ns", texts=EXACT),
    "days": _moments("us", texts=["2026-01-31", None, "1999-12-31", "2026-07-01"]),
    "datetime64[us, UTC]": _moments("us", "UTC"),
    "datetime64[ns, Europe/Berlin]": _moments("ns", "Europe/Berlin", EXACT),
    "datetime64[us, UTC+01:00]": _moments("us", "UTC+01:00"),
    "timedelta64[ns]": pd.Series(pd.to_timedelta([*SPANS[:3], "5ns"])).astype("timedelta64[ns]"),
    "timedelta64[s]": pd.Series(pd.to_timedelta(SPANS)).astype("timedelta64[s]"),
    "dates": _objects(date(2026, 1, 31), None, date(1, 1, 1), date(9999, 12, 31)),
    "times": _objects(time(12, 30), None, time(23, 59, 59, 123456), time()),
    "datetimes": _objects(datetime(2026, 1, 31, 12, 30), None, datetime(1, 1, 1), datetime(2026, 1, 31, 0, 0, 0, 5)),
    "aware datetimes": _objects(datetime(2026, 1, 31, tzinfo=UTC), None, datetime(1999, 7, 1, 12, 30, tzinfo=UTC)),
    "zoned datetimes": _objects(datetime(2026, 1, 31, tzinfo=BERLIN), None, datetime(1999, 7, 1, 12, tzinfo=BERLIN)),
    "Timestamps": _objects(pd.Timestamp("2026-01-31"), None, pd.Timestamp("2026-01-31T00:00:00.000000001")),
    "zoned Timestamps": _objects(pd.Timestamp("2026-01-31", tz="Europe/Berlin"), None),
    "timedeltas": _objects(timedelta(days=1), None, timedelta(microseconds=-5), timedelta()),
    "Timedeltas": _objects(pd.Timedelta("1D"), None, pd.Timedelta("-5ns"), pd.Timedelta(0)),
    "decimals": _objects(Decimal("12.5"), None, Decimal("-0.000000000000000000000001"), Decimal(10**30)),
    "Int64": pd.Series([2**53 + 1, None, -1, 0], dtype="Int64"),
    "UInt8": pd.Series([255, None, 0, 1], dtype="UInt8"),
    "Float32": pd.Series([0.1, None, 3.4e38, 0], dtype="Float32"),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "string": pd.Series(["a", None, "é", "1"], dtype="string"),
    "str": pd.Series(["a", None, "é", "1"], dtype="str"),
    "double[pyarrow]": pd.Series([0.1, None, -1e300, 5e-324], dtype="double[pyarrow]"),
    "float[pyarrow]": pd.Series([0.1, None, 3.4e38, 0], dtype="float[pyarrow]"),
    "int64[pyarrow]": pd.Series([2**53 + 1, None, -1, 0], dtype="int64[pyarrow]"),
    "uint8[pyarrow]": pd.Series([255, None, 0, 1], dtype="uint8[pyarrow]"),
    "bool[pyarrow]": pd.Series([True, None, False, True], dtype="bool[pyarrow]"),
    "string[pyarrow]": _of_arrow(pa.string(), ["a", None, "é", "1"]),
    "large_string[pyarrow]": _of_arrow(pa.large_string(), ["a", None, "é", "1"]),
    "timestamp[us][pyarrow]": pd.Series(_moments("us"), dtype="timestamp[us][pyarrow]"),
    "timestamp[ns, tz=UTC][pyarrow]": _moments("ns", "UTC", EXACT).astype("timestamp[ns, tz=UTC][pyarrow]"),
    "date32[day][pyarrow]": _of_arrow(pa.date32(), [date(2026, 1, 31), None, date(1, 1, 1), date(9999, 12, 31)]),
    "date64[ms][pyarrow]": _of_arrow(pa.date64(), [date(2026, 1, 31), None, date(1, 1, 1), date(9999, 12, 31)]),
    "time32[s][pyarrow]": _of_arrow(pa.time32("s"), [time(12, 30), None, time(23, 59, 59), time()]),
    "time64[us][pyarrow]": _of_arrow(pa.time64("us"), [time(12, 30), None, time(23, 59, 59, 5), time()]),
    "duration[us][pyarrow]": _of_arrow(pa.duration("us"), [timedelta(1), None, timedelta(microseconds=-5)]),
    "decimal128(7, 2)[pyarrow]": _of_arrow(pa.decimal128(7, 2), [Decimal("12.50"), None, Decimal("-99999.99")]),
    "Sparse[float64, nan]": pd.Series(pd.arrays.SparseArray([0.5, float("nan"), 0.0, 1.0])),
    "Sparse[float64, 0]": pd.Series([0.5, 0.0, 0.0, 1.0]).astype(pd.SparseDtype("float64", 0)),
    "Sparse[int64, 0]": pd.Series(pd.arrays.SparseArray([0, 3, 0, -1])),
    "Sparse[bool, False]": pd.Series(pd.arrays.SparseArray([False, True, False, False])),
    "category of floats": _categories(1.0, None, 2.0, 0.1),
    "category of integers": _categories(3, None, 1, 2),
    "category of booleans": _categories(True, None, False),
    "category of strings": _categories("b", None, "a", categories=["c", "b", "a"]),
    "category in order": _categories("s", None, "l", categories=["s", "m", "l"], ordered=True),
    "category of datetimes": pd.Series(_moments("us")).astype("category"),
    "category of zoned datetimes": _moments("us", "Europe/Berlin").astype("category"),
    "category of durations": pd.Series(pd.to_timedelta(SPANS)).astype("category"),
    "category of dates": _categories(date(2026, 1, 31), None, date(1999, 12, 31)),
    "category of decimals": _categories(Decimal("1.5"), None, Decimal("0.25")),
    "category of Int64": pd.Series([3, None, 1], dtype="Int64").astype("category"),
    "category of double[pyarrow]": pd.Series([1.5, None, 0.5], dtype="double[pyarrow]").astype("category"),
}


def frame_of_kind(kind: str) -> pd.DataFrame:
    """The column `c` of the kind."""
    return pd.DataFrame({"c": KINDS[kind]})
