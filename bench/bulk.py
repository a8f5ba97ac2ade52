"""Figures of large files: rows a second compared with one process, and one-row jobs while a batch runs."""

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

from bench.bulk_file import BatchClient, NoBatchesError, run_batch, write_rows, wrong_rows
from bench.processes import ROOT
from bench.run import Run

ROWS = 1_000_000
DURING_BATCH_S = 20.0
DURING_BATCH_JOBS_PER_S = 20.0


def bulk(run: Run) -> None:
    stack, source = run.stacks["queuecast"], _rows_file(run)
    command = [sys.executable, "-m", "bench.one_process", str(run.known.joblib_file), str(source)]
    ended = subprocess.run(command, cwd=ROOT, env=stack.environ({}), stdout=subprocess.PIPE, timeout=300, check=True)
    alone = json.loads(ended.stdout)
    run.note("bulk.one process.rows_per_s", ROWS / alone["predict_s"])
    run.note("bulk.one process.rows_per_s_with_reading", ROWS / (alone["read_s"] + alone["predict_s"]))
    result = run.known.folder / "result.csv"
    before = sum(stack.cpu_s().values())
    try:
        batched = run_batch(stack.port, source, result)
    except NoBatchesError as error:
        run.remark(f"no figure for bulk files, the gateway takes no batches: {error}")
        run.note("bulk.queuecast.rows_per_s", math.nan)
        return
    cpu_s = sum(stack.cpu_s().values()) - before
    run.answers[stack.name] += ROWS
    run.wrong[stack.name] += wrong_rows(run.known, ROWS, result)
    run.note("bulk.queuecast.rows_per_s", ROWS / (batched.run_s + batched.fetch_s))
    run.note("bulk.queuecast.rows_per_s_with_upload", ROWS / (batched.upload_s + batched.run_s + batched.fetch_s))
    run.note("bulk.queuecast.cpu_us_per_row", 1e6 * cpu_s / ROWS)
    run.say(
        f"bulk         queuecast  {ROWS:,} rows in {batched.run_s:.1f} s (upload {batched.upload_s:.1f} s, fetch "
        f"{batched.fetch_s:.1f} s); one process {alone['predict_s']:.1f} s, and {alone['read_s']:.1f} s to read them"
    )


def during_a_batch(run: Run) -> None:
    """One-row jobs alone, and while the chunks of a batch keep the workers busy."""
    stack = run.stacks["queuecast"]
    alone = run.measure(stack, "open", "no batch", seconds=DURING_BATCH_S, jobs_per_s=DURING_BATCH_JOBS_PER_S)
    run.note("during.none.p99_ms", alone.latency_ms(0.99))
    ending, is_going = threading.Event(), threading.Event()
    job_ids: list[str] = []
    failures: list[Exception] = []

    def keep_batches_running() -> None:
        client = BatchClient(stack.port)
        try:
            file_id = client.upload(_rows_file(run))
            while not ending.is_set():
                job_ids.append(client.submit(file_id))
                is_going.set()
                client.wait(job_ids[-1])
        except (NoBatchesError, OSError) as error:
            failures.append(error)
        finally:
            is_going.set()
            client.close()

    batches = threading.Thread(target=keep_batches_running, name="batches")
    batches.start()
    is_going.wait()
    try:
        if not failures:
            measured = run.measure(
                stack, "open", "in a batch", seconds=DURING_BATCH_S, jobs_per_s=DURING_BATCH_JOBS_PER_S
            )
    finally:
        ending.set()
        if job_ids:
            canceling = BatchClient(stack.port)
            canceling.cancel(job_ids[-1])
            canceling.close()
        batches.join()
    if failures:
        run.remark(f"no figure for jobs during a batch: {failures[0]}")
    else:
        run.note("during.batch.p50_ms", measured.latency_ms(0.5))
        run.note("during.batch.p99_ms", measured.latency_ms(0.99))


def _rows_file(run: Run) -> Path:
    path = run.known.folder / "rows.csv"
    if not path.exists():
        write_rows(run.known, ROWS, path)
    return path
