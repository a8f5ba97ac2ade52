"""Logs one JSON line per event to stderr. Fields carry ids and numbers, never rows or secrets."""

import logging
import sys
from typing import cast

# structlog imports rich where it is installed, for tracebacks in color. Every process of `make run` would hold 3 MiB of
# modules that no JSON log uses (docs/performance.md).
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment] # makes an import of it fail
import structlog  # noqa: E402
from structlog.typing import FilteringBoundLogger  # noqa: E402

del sys.modules["rich"]
if _rich is not None:
    sys.modules["rich"] = _rich


def configure_logs(level: str = "INFO") -> None:
    """Sets up structlog for the process; calling it again changes only the level."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def get_logger() -> FilteringBoundLogger:
    return cast(FilteringBoundLogger, structlog.get_logger())
