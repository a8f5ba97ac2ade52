"""The demo of `make run`: pushes the Titanic model, predicts one passenger, and lists the URLs.

It exits afterwards, and the other processes keep running. A later start finds the model and only predicts.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from queuecast import Client
from queuecast.client import ApiError
from queuecast.client.client import DEFAULT_URL
from queuecast.config import read_settings

ROOT = Path(__file__).resolve().parents[2]
MODEL = "titanic"
READY_WAIT_S = 90.0
PASSENGER = {"pclass": 1, "sex": "female", "age": 29, "sibsp": 0, "parch": 0, "fare": 211.34, "embarked": "S"}


def main() -> None:
    settings = read_settings()
    url = os.environ["QUEUECAST_URL"]
    print("waiting for the gateway, a worker and the trainer ...")
    wait_until_ready(url)
    with Client(url) as client:
        try:
            push_if_missing(client)
            result = client.predict(MODEL, [PASSENGER], method="predict_proba").result(timeout_s=60)
        except ApiError as error:
            if error.problem.get("code") == "model_gone":
                print(f"the model {MODEL!r} was deleted, so nothing is predicted; the gateway is {url}")
                return
            if not str(error.problem.get("type", "")).endswith(":unknown_alias"):
                raise
            print("found the models, but this Redis has no aliases: no version is champion; in another terminal, run:")
            print("  .venv/bin/queuecast admin rebuild-aliases")
            return
    survived = result["probabilities"][0][result["classes"].index(1)]
    print("")
    print(f"  one passenger   {json.dumps(PASSENGER)}")
    print(f"  the answer      survives with probability {survived:.3f} ({MODEL} version {result['model']['version']})")
    print("")
    print(f"  gateway         {url}")
    print(f"  API documents   {url}/docs")
    print(f"  Flower          http://127.0.0.1:{settings.flower_port}")
    if url != DEFAULT_URL:
        print("")
        print("  for the commands, in another terminal:")
        print(f"    export QUEUECAST_URL={url}")
    print("")
    print("  Ctrl-C stops everything; models and jobs stay for the next start.")


def push_if_missing(client: Client) -> None:
    """Raises ApiError for a model that was deleted: it stays away."""
    try:
        client.model(MODEL)
    except ApiError as error:
        if error.problem.get("code") != "unknown_model":
            raise
        print(f"no model {MODEL!r} yet: fitting one on the Titanic passengers and pushing it ...")
        program = ROOT / "examples" / "titanic" / "train.py"
        subprocess.run([sys.executable, str(program), "--url", client.url], check=True)


def wait_until_ready(url: str) -> None:
    """Returns when the gateway accepts jobs and a worker and the trainer are ready to run them. Raises TimeoutError."""
    deadline = time.monotonic() + READY_WAIT_S
    while time.monotonic() < deadline:
        try:
            answer = httpx2.get(f"{url}/readyz", timeout=2)
            workers = answer.json().get("workers", {}) if answer.status_code == 200 else {}
        except httpx2.HTTPError:
            workers = {}
        if workers.get("predict") and workers.get("train"):
            return
        time.sleep(0.2)
    raise TimeoutError(f"not ready after {READY_WAIT_S:.0f} s")


if __name__ == "__main__":
    main()
