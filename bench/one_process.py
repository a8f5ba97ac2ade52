"""Predicts a file as a notebook does: one process, one frame, one call. Prints the seconds of each as JSON.

python -m bench.one_process MODEL.joblib ROWS.csv
"""

import json
import sys
import time

import joblib
import pandas as pd


def main() -> None:
    model = joblib.load(sys.argv[1])
    started = time.perf_counter()
    frame = pd.read_csv(sys.argv[2])
    read = time.perf_counter()
    model.predict_proba(frame)
    print(json.dumps({"rows": len(frame), "read_s": read - started, "predict_s": time.perf_counter() - read}))


if __name__ == "__main__":
    main()
