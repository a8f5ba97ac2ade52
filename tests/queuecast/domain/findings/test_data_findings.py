"""Findings about the data of a training: the most severe come first, and they are bounded."""

from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.findings.data_findings import DataFinding, Severity, most_severe


def test_errors_come_before_warnings_and_facts_in_their_order() -> None:
    found = [DataFinding(str(at), severity, "") for at, severity in enumerate([*Severity, *Severity])]

    assert [finding.code for finding in most_severe(found).first] == ["2", "5", "1", "4", "0", "3"]
    assert [finding.code for finding in most_severe(found).errors] == ["2", "5"]


def test_the_first_findings_are_kept_and_all_are_counted() -> None:
    found = [DataFinding("code", Severity.INFO, str(at)) for at in range(MAX_FINDINGS + 5)]
    last = DataFinding("code", Severity.ERROR, "last")

    findings = most_severe([*found, last])

    assert (findings.first, findings.total) == ((last, *found[: MAX_FINDINGS - 1]), MAX_FINDINGS + 6)
