"""Runs `queuecast` against a scripted gateway, in this process or in a terminal."""

import os
import pty
import re
import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from queuecast.cli.main import main
from tests.queuecast.scripted_gateway import ScriptedGateway, job

PREDICT = "POST /v1/models/titanic/predictions"
SCHEMA = "GET /v1/models/titanic/schema"
JOB = "GET /v1/jobs/job_1"
PREDICTED = job(
    "succeeded",
    result={
        "method": "predict",
        "predictions": ["died", "lived"],
        "model": {"name": "titanic", "version": 3, "sha256": "ab", "sklearn": "1.9.1"},
        "timings": {"queue_ms": 1.0, "batch_jobs": 1, "batch_rows": 2, "predict_ms": 4.25},
    },
)
TRAINED = {
    "model": "titanic",
    "version": 4,
    "verdict": "better",
    "promoted": True,
    "reason": "accuracy 0.83 against 0.81, better",
    "metric": "accuracy",
    "champion": {"version": 3, "score": 0.8125},
    "challenger": {"version": 4, "score": 0.8343},
    "criteria": [],
    "scores": [
        {
            "metric": "neg_log_loss",
            "champion": {"value": -0.4512, "low": -0.5, "high": -0.4},
            "challenger": {"value": -0.4421, "low": -0.5, "high": -0.4},
            "difference": {"value": 0.0091, "low": 0.002, "high": 0.0162},
        },
        {
            "metric": "accuracy",
            "champion": {"value": 0.8125, "low": None, "high": None},
            "challenger": {"value": 0.8343, "low": None, "high": None},
            "difference": {"value": 0.0218, "low": None, "high": None},
        },
    ],
    "rows": {"train": 713, "holdout": 178},
}
MODEL = {
    "name": "titanic",
    "champion": 3,
    "aliases": {"champion": 3, "challenger": 4},
    "generation": 7,
    "versions": 4,
    "latest": 4,
    "workers": {"total": 4, "on_champion": 3, "generation": 6},
}


def manifest(version: int, **more: Any) -> dict[str, Any]:
    return {
        "model": "titanic",
        "version": version,
        "sha256": "ab",
        "size_bytes": 20_480,
        "created_at": "2026-01-31T12:00:00.000Z",
        "estimator": "Pipeline(steps=[])",
        "source": "push",
        "metrics": {},
    } | more


def run(gateway: ScriptedGateway, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["--url", gateway.url, *arguments], input=stdin)


def inputs_sent(gateway: ScriptedGateway) -> Any:
    return gateway.only_request(PREDICT).json["inputs"]


def seen_in_a_terminal(gateway: ScriptedGateway, *arguments: str, columns: int = 80) -> str:
    """The output in a terminal of this width, including control sequences. The command must succeed."""
    code, seen = _in_a_terminal(gateway, "", arguments, columns)
    assert code == 0, seen
    return seen


def typed_in_a_terminal(gateway: ScriptedGateway, text: str, *arguments: str) -> str:
    """The output in a wide terminal in which a person types this text."""
    return _in_a_terminal(gateway, text, arguments, 240)[1]


def _in_a_terminal(gateway: ScriptedGateway, text: str, arguments: tuple[str, ...], columns: int) -> tuple[int, str]:
    terminal, child = pty.openpty()
    command = [sys.executable, "-m", "queuecast.cli", "--url", gateway.url, *arguments]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as running:
        os.close(child)
        os.write(terminal, text.encode())
        seen = b""
        try:
            while chunk := os.read(terminal, 4096):
                seen += chunk
        except OSError:  # on Linux, a terminal whose other end is closed raises EIO
            pass
        os.close(terminal)
    return running.returncode, seen.decode()


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def lines_without_control(seen: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).splitlines()
