"""The errors that the client raises for the gateway's answers, and their text on one line."""

from http import HTTPStatus
from typing import Any

from queuecast.tables.column_names import separator_hint

Problem = dict[str, Any]
"""A problem document (RFC 9457). Each entry of its `errors` has `pointer`, `code` and `detail`."""


class ApiError(Exception):
    """The gateway answered with an error. `problem` is its RFC 9457 document."""

    def __init__(self, status: int, problem: Problem, retry_after_s: float | None = None) -> None:
        later = "" if retry_after_s is None else f" (retry in {retry_after_s:g} s)"
        super().__init__(f"{status} {problem_line(problem)}{later}")
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def is_too_many_rows(self) -> bool:
        findings = self.problem.get("errors") or []
        return self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or any(
            finding.get("code") == "too_many_rows" for finding in findings
        )


class TooManyRows(ApiError):  # noqa: N818 - names a fact, as the standard library's errors do
    """The request has more rows than one prediction takes."""

    def __str__(self) -> str:
        return f"{super().__str__()}; Client.predict_file takes any number of rows, as a file or a DataFrame"


class GatewayUnreachable(ConnectionError):  # noqa: N818 - names a fact, as the standard library's errors do
    """No answer came: the gateway does not listen there, or the connection broke before the answer."""


def problem_line(problem: Problem) -> str:
    """A problem document on one line: its title, then its first errors with their places, or its detail without any."""
    title = str(problem.get("title") or problem.get("code") or "error")
    findings = problem.get("errors") or []
    shown = findings[:3]
    text = "; ".join(_finding_text(finding) for finding in shown) or str(problem.get("detail") or "")
    line = f"{title}: {text}" if text and text != title else title
    more = (problem.get("errors_total") or len(findings)) - len(shown)
    if more > 0:
        line += f", and {more} more"
    columns: list[str] = next((finding["columns"] for finding in findings if finding.get("columns")), [])
    return " ".join(f"{line}{_columns_text(columns)}".split())


def _finding_text(finding: Problem) -> str:
    return ": ".join(str(part) for part in (finding.get("pointer"), finding.get("detail")) if part)


def _columns_text(columns: list[str]) -> str:
    """The columns of the uploaded file: a column that the model needs may be there under another name."""
    if not columns:
        return ""
    names = ", ".join(columns)
    hint = separator_hint(columns)
    return f"; it has {names} as its only column{hint}" if hint else f"; it has {names}"
