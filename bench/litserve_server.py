"""A synchronous batching server around the same model. Runs in an environment of its own, and imports none of ours."""

import os
from typing import Any

import joblib
import litserve
import pandas as pd


class Predictions(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["LITSERVE_MODEL"])

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = request["inputs"][0]
        return row

    def batch(self, inputs: list[dict[str, Any]]) -> pd.DataFrame:
        return pd.DataFrame(inputs)

    def predict(self, x: pd.DataFrame) -> list[list[float]]:
        probabilities: list[list[float]] = self.model.predict_proba(x).tolist()
        return probabilities

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, Any]:
        return {"probabilities": [output]}


if __name__ == "__main__":
    api = Predictions(max_batch_size=int(os.environ.get("LITSERVE_BATCH", "32")), batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(os.environ["LITSERVE_WORKERS"]))
    server.run(host="127.0.0.1", port=int(os.environ["LITSERVE_PORT"]), log_level="warning", generate_client_file=False)
