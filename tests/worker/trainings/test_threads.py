"""The number of threads for a fit: from the operator, the container's CPU quota, or the machine."""

import os
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_info

from queuecast.domain.job import State
from tests.worker.model_fixtures import LocalService, with_target
from worker.trainings.cpu_quota import cpu_count, cpu_quota
from worker.trainings.runner import TrainingRunner
from worker.trainings.threads import Threads, fit_threads, using_threads

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def machine_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "5:devices:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/../ab\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ({"proc/self/cgroup": "0::/pod/box\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4.0),
        (
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/pod/box/cpu.max": "300000 100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "\n"}, None),
    ],
    ids=[
        "no control groups",
        "version 2",
        "version 2 without a limit",
        "version 2 outside of the namespace",
        "version 2 of the parent",
        "version 2, the smallest",
        "version 1",
        "version 1 inside a container",
        "version 1 without a limit",
        "nothing in the file",
    ],
)
def test_the_quota_comes_from_the_control_group(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(machine_files(tmp_path, files)) == quota


@pytest.mark.parametrize(("limit", "threads"), [("50000", 1), ("100000", 1), ("190000", 1)])
def test_a_quota_is_rounded_down_to_at_least_one_thread(tmp_path: Path, limit: str, threads: int) -> None:
    root = machine_files(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit} 100000\n"})

    assert cpu_count(root) == threads


def test_a_quota_above_the_number_of_processors_has_no_effect(tmp_path: Path) -> None:
    root = machine_files(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "99900000 100000\n"})

    assert cpu_count(root) == cpu_count(tmp_path / "elsewhere") <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("wanted", "quota", "count", "threads"),
    [
        (0, 4.0, 4, Threads(pools=4, jobs=4)),
        (0, 0.5, 1, Threads(pools=1, jobs=1)),
        (0, None, 8, Threads(pools=1, jobs=8)),  # other processes may use these processors too
        (3, None, 8, Threads(pools=3, jobs=3)),
        (3, 1.0, 1, Threads(pools=3, jobs=3)),
    ],
)
def test_pools_have_more_threads_only_with_a_quota_or_a_setting(
    wanted: int, quota: float | None, count: int, threads: Threads
) -> None:
    assert fit_threads(wanted, quota, count) == threads


def test_the_threads_are_used_in_the_block_only() -> None:
    RandomForestClassifier(2).fit(X, Y)  # so that OpenMP is loaded
    with using_threads(Threads(pools=2, jobs=3)):
        inside = Parallel().n_jobs, {pool["num_threads"] for pool in threadpool_info()}

    assert inside == (3, {2})
    assert (Parallel().n_jobs, {pool["num_threads"] for pool in threadpool_info()}) == (1, {1})


@pytest.mark.parametrize("params", [{}, {"n_jobs": -1}], ids=["as it was pushed", "n_jobs asked for"])
def test_a_retraining_fits_with_the_configured_threads(
    service: LocalService, capsys: pytest.CaptureFixture[str], params: dict[str, int]
) -> None:
    service.pushed(RandomForestClassifier(4, n_jobs=-1, verbose=1).fit(X, Y), X)
    service.training = TrainingRunner(
        service.models,
        service.aliases,
        service.files,
        service.estimators,
        service.folders,
        service.clock,
        Threads(1, 3),
    )
    capsys.readouterr()

    job = service.trained(service.training_work(with_target(X, Y), params=params))

    assert job.state is State.SUCCEEDED
    assert "ThreadingBackend with 3 concurrent workers" in capsys.readouterr().err
