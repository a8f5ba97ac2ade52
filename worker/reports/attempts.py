"""Computes facts of a report. They decide nothing, so a failure costs only the facts."""

from collections.abc import Callable
from typing import TypeVar

from queuecast.domain.errors import exception_text
from queuecast.domain.reports import ReportFinding
from queuecast.logs import get_logger

log = get_logger()
Facts = TypeVar("Facts")


def attempted(compute: Callable[[], Facts], otherwise: Facts, findings: list[ReportFinding]) -> Facts:
    """The facts; after an error `otherwise`, with a finding that says so."""
    try:
        return compute()
    except Exception as error:  # an estimator raises what it likes, and answers what it likes
        log.exception("report_facts_failed")
        detail = f"some facts of this report could not be computed: {exception_text(error)}"
        findings.append(ReportFinding("facts_failed", "warning", detail))
        return otherwise
