"""No array and no scalar of any estimator of scikit-learn, whatever it is, ends the process that loads and calls it.

Nor does any make it ask for more memory than a few rows can need.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.worker.models.fitted_estimators import names
from tests.worker.models.forging import ATE_MEMORY

N_SHARDS = 32
TIMEOUT_S = 900.0


# The width that its user chose, which nothing else in the file says.
CHOSEN_WIDTH = re.compile(r"PolynomialCountSketch\t.*/n_components set to ")


def _deaths(estimators: list[str]) -> tuple[list[str], int]:
    """The forgeries that ended a process or ate memory, and the number that was tried.

    A dead process is started behind its cause.
    """
    deaths, tried = [], 0
    first, waiting = 0, estimators
    while waiting:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.worker.models.forging", str(first), *waiting],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        lines = ended.stdout.splitlines()
        tried += len(lines)
        deaths += [line for line in lines if ATE_MEMORY in line and not CHOSEN_WIDTH.match(line)]
        if ended.returncode == 0:
            break
        name, number, _ = lines[-1].split("\t")
        deaths.append(f"{lines[-1]} ended it with {ended.returncode}: {ended.stderr[-300:]}")
        waiting, first = waiting[waiting.index(name) :], int(number) + 1
    return deaths, tried


@pytest.mark.parametrize("shard", range(N_SHARDS))
def test_no_forged_array_or_scalar_ends_a_process_or_eats_memory(shard: int) -> None:
    deaths, tried = _deaths(names()[shard::N_SHARDS])

    assert deaths == []
    assert tried > 100
