"""Measures the memory of containers while two workers run a batch, with `docker stats`.

    python -m bench.bulk_memory [--plot FILE.svg]        1 GB through workers of 512 MiB
    python -m bench.bulk_memory --rows 1000000 --kill    one of the workers is killed when half of the rows are done
    python -m bench.bulk_memory --jobs-per-s 20          one-row predictions at the same time, and their latency

Builds and starts the Compose file's stack under a project name and on ports of its own, and removes both at the end.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.bulk_file import BatchClient, write_repeated
from bench.compose_stack import ComposeStack, docker, largest_process_mib, ran_out_of_memory
from bench.known_answers import RELATIVE_TOLERANCE
from bench.memory_plot import memory_plot
from bench.processes import ROOT
from bench.protocols import MODEL
from bench.stats_stream import StatsStream
from bench.steady_load import OneRowJobs

ROWS_OF_1_GB = 12_300_000
SEEN_AT_A_TIME = 1_000_000
POLL_S = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS_OF_1_GB)
    parser.add_argument("--limit", default="512m", help="of each worker's memory (default: 512m)")
    parser.add_argument("--kill", action="store_true", help="a worker, half-way")
    parser.add_argument("--jobs-per-s", type=float, default=0.0, help="one-row predictions during the batch")
    parser.add_argument("--plot", type=Path, help="draw the memory there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ComposeStack("queuecast-bulk", 2, options.limit) as stack:
        print(json.dumps(measured(stack, options, Path(folder)), indent=1))


def measured(stack: ComposeStack, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    port, source, result = stack.port, folder / "rows.csv", folder / "result.csv"
    expected, row = pushed(port)
    write_passengers(source, options.rows)
    names = {id_: f"worker {n}" for n, id_ in enumerate(stack.container_ids("worker"), start=1)}
    names |= {id_: name for name in ("api", "redis", "reaper") for id_ in stack.container_ids(name)}
    client, stats = BatchClient(port), StatsStream(names)
    jobs = OneRowJobs(port, row, options.jobs_per_s) if options.jobs_per_s else None
    try:
        file_id = client.upload(source)
        stats.mark("uploaded")
        job_id = client.submit(file_id)
        killing = threading.Thread(target=kill_half_way, args=(port, job_id, options.rows, next(iter(names)), stats))
        if options.kill:
            killing.start()
        if jobs:
            jobs.start()
        job = client.wait(job_id)
        stats.mark("ended")
        latencies = jobs.stop() if jobs else {}
        if options.kill:
            killing.join()
        if job["state"] != "succeeded":
            raise OSError(f"the batch ended as {job['state']}: {job['error']}")
        client.fetch(job_id, result)
        stats.mark("fetched")
    finally:
        stats.stop()
        client.close()
    if options.plot:
        options.plot.write_text(memory_plot(stats.samples, stats.marks, f"{source.stat().st_size / 1e9:.2f} GB"))
    found: dict[str, Any] = {"rows": options.rows, "file_mb": round(source.stat().st_size / 1e6)}
    return found | {
        "result_mb": round(result.stat().st_size / 1e6),
        "wrong_rows": wrong_rows(result, options.rows, expected),
        "marks_s": {name: round(at, 1) for name, at in stats.marks.items()},
        "peak_mib": {name: round(max(mib for _, mib in seen)) for name, seen in stats.samples.items()},
        "largest_process_mib": {name: largest_process_mib(id_) for id_, name in names.items()},
        "out_of_memory": [names[id_] for id_ in names if ran_out_of_memory(id_)],
        "chunks": job["result"]["chunks"],
        "timings": job["result"]["timings"],
        **latencies,
    }


def pushed(port: int) -> tuple[Any, dict[str, Any]]:
    """The estimator's answers for all passengers, from this process, and one passenger as JSON."""
    import queuecast  # noqa: PLC0415
    from examples.titanic.train import COLUMNS, TARGET, logistic, passengers  # noqa: PLC0415

    table = passengers()
    estimator = logistic().fit(table[COLUMNS], table[TARGET])
    with queuecast.Client(f"http://127.0.0.1:{port}") as client:
        client.push(MODEL, estimator, table[COLUMNS], table[TARGET]).result(timeout_s=120)
    row: dict[str, Any] = json.loads(table[COLUMNS].head(1).to_json(orient="records"))[0]
    return estimator.predict_proba(table[COLUMNS]), row


def write_passengers(path: Path, rows: int) -> None:
    """The passengers over and over, with all the columns of the data set; the model takes half of them."""
    write_repeated((ROOT / "examples/titanic/titanic.csv").read_text(), rows, path)


def kill_half_way(port: int, job_id: str, rows: int, container_id: str, stats: StatsStream) -> None:
    client = BatchClient(port)
    while True:
        progress = client.read(job_id)["progress"] or {"done": 0}
        if progress["done"] >= rows / 2:
            break
        time.sleep(POLL_S)
    docker("kill", container_id)
    stats.mark("killed")
    client.close()


def wrong_rows(result: Path, rows: int, expected: Any) -> int:
    """Number of rows that are missing, out of order or wrong, counted one part of the file at a time."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    right = seen = 0
    for table in pd.read_csv(result, chunksize=SEEN_AT_A_TIME):
        found = table.to_numpy(dtype="float64")
        numbers = np.arange(seen, seen + len(found))
        is_right = np.isclose(found[:, 1:], expected[numbers % len(expected)], rtol=RELATIVE_TOLERANCE, atol=0.0)
        right += int((is_right.all(axis=1) & (found[:, 0] == numbers + 1)).sum())
        seen += len(found)
    return max(rows, seen) - right


if __name__ == "__main__":
    main()
