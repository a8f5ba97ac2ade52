"""A version behind a real gateway, asked by the Python client."""

import re
from pathlib import Path
from typing import Any

from queuecast import ApiError, Client, JobFailed, JobHandle
from tests.differential import writers
from tests.differential.product import CRASHES, BadRow, BatchAnswer, Crashed, Refused

WAIT_S = 60.0
_SUFFIXES = {writers.CSV: ".csv", writers.NDJSON: ".ndjson", writers.PARQUET: ".parquet"}
_ROW = re.compile(r"/inputs/(\d+)")


class ServedVersion:
    """folder: for the files that are sent and downloaded."""

    def __init__(self, client: Client, name: str, number: int, folder: Path) -> None:
        self._client = client
        self._name = name
        self._number = number
        self._folder = folder
        (manifest,) = [each for each in client.versions(name) if each["version"] == number]
        self.methods = tuple(manifest["signature"]["methods"])
        self.schema = client.schema(name, number)

    @classmethod
    def pushed(cls, client: Client, name: str, folder: Path, estimator: Any, rows: Any, target: Any) -> "ServedVersion":
        try:
            job = client.push(name, estimator, rows, target)
        except (ValueError, TypeError) as error:
            raise Refused("client", str(error)) from None
        return cls(client, name, int(_result(job)["version"]), folder)

    def answers(self, rows: list[Any], method: str) -> list[Any]:
        try:
            job = self._client.predict(self._name, rows, method=method, version=self._number, wait_s=30)
        except ApiError as error:
            raise _refused(error.problem) from None
        try:
            result = job.result(WAIT_S)
        except JobFailed as error:
            raise Crashed(f"accepted, then {error}") from None
        answers: list[Any] = result["probabilities" if method == "predict_proba" else "predictions"]
        return answers

    def batch(self, content: bytes, media_type: str, method: str, output_format: str) -> BatchAnswer:
        path = self._written(content, media_type)
        try:
            job = self._client.predict_file(
                self._name, path, method=method, version=self._number, output_format=output_format
            )
        except ApiError as error:
            raise _refused(error.problem) from None
        _result(job)
        to = self._folder / f"result.{output_format}"
        to.unlink(missing_ok=True)
        bad_rows = [BadRow(each["row"] - 1, each["column"], each["code"], each["detail"]) for each in job.errors()]
        return BatchAnswer(job.download(to).read_bytes(), bad_rows)

    def retrained(self, content: bytes, media_type: str, target: tuple[str, ...]) -> "ServedVersion":
        path = self._written(content, media_type)
        try:
            job = self._client.train(self._name, path, list(target), promote="never")
        except ApiError as error:
            raise _refused(error.problem) from None
        return ServedVersion(self._client, self._name, int(_result(job)["version"]), self._folder)

    def _written(self, content: bytes, media_type: str) -> Path:
        path = self._folder / f"rows{_SUFFIXES[media_type]}"
        path.write_bytes(content)
        return path


def _result(job: JobHandle) -> dict[str, Any]:
    try:
        result: dict[str, Any] = job.result(WAIT_S)
    except JobFailed as error:
        if error.problem.get("code") in CRASHES:
            raise Crashed(str(error)) from None
        raise _refused(error.problem) from None
    return result


def _refused(problem: dict[str, Any]) -> Refused:
    findings = problem.get("errors") or []
    rows = [_ROW.match(finding["pointer"]) for finding in findings]
    column = next((finding["column"] for finding in findings if finding.get("column")), None)
    detail = findings[0]["detail"] if findings else str(problem.get("detail") or problem.get("title"))
    return Refused(str(problem.get("code")), detail, column, tuple(sorted({int(row[1]) for row in rows if row})))
