"""Values on both sides of what a dtype holds: kind, dtype, values that fit, values that do not."""

from typing import Any

from queuecast.domain.signature import INT64_MAX, INT64_MIN, ColumnType

BOUNDS: list[tuple[ColumnType, str, list[Any], list[Any]]] = [
    (ColumnType.INTEGER, "uint8", [0, 255, 3.0], [-1, 256, 300]),
    (ColumnType.INTEGER, "Int16", [-(2**15), 2**15 - 1], [2**15]),
    (ColumnType.INTEGER, "uint64", [0, INT64_MAX], [-1, INT64_MAX + 1]),
    (ColumnType.INTEGER, "int64[pyarrow]", [INT64_MIN, INT64_MAX], [INT64_MAX + 1]),
    (ColumnType.INTEGER, "Sparse[uint8, 0]", [255], [256]),
    (ColumnType.NUMBER, "float32", [3.4028235e38, -3.4028235e38, 10**38], [3.5e38, -1e39, 10**39]),
    (ColumnType.NUMBER, "Float32", [1], [1e39]),
    (ColumnType.NUMBER, "float[pyarrow]", [1], [1e39]),
    (ColumnType.NUMBER, "float16", [65519], [65520, -65520]),
    (ColumnType.NUMBER, "double[pyarrow]", [1e308], []),
    (ColumnType.DATETIME, "datetime64[ns]", ["2026-01-31", "1677-09-22"], ["1677-09-20", "2262-04-12", 1, "x"]),
    (ColumnType.DATETIME, "datetime64[s]", ["2026-01-31T12:00"], ["2026-01-31T12:00:00.5", "2026-01-31T12:00:00Z"]),
    (ColumnType.DATETIME, "datetime64[us, UTC]", ["2026-01-31T12:00Z"], ["2026-01-31T12:00", "2026-01-31"]),
    (ColumnType.DATE, "object", ["2026-01-31", "2026-01-31T00:00:00"], ["2026-01-31T01:00:00", "2026-01-32"]),
    (ColumnType.TIME, "time32[s][pyarrow]", ["12:30", "12:30:01"], ["12:30:01.5", "24:00", "12:30Z"]),
    (ColumnType.DURATION, "timedelta64[s]", ["P1D", "-1 days +23:59:59"], ["PT0.5S", "P1M"]),
    (ColumnType.DECIMAL, "decimal128(4, 2)[pyarrow]", ["12.50", "-99.99", 1.5, 99], ["100", "0.125", True, [1]]),
]
