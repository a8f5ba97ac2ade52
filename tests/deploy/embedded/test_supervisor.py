"""The supervisor restarts a process with backoff, and gives up on a process that never starts properly."""

import signal
import subprocess
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from deploy.embedded.console import Console
from deploy.embedded.supervisor import ProcessSupervisor, RestartPolicy
from tests.system.conftest import wait_for


class ShellLauncher:
    """Starts a shell command and remembers every process that it has started."""

    def __init__(self, line: str) -> None:
        self._line = line
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", self._line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.started.append(process)
        return process


def supervise(launch: Callable[[], Any], **options: bool) -> tuple[ProcessSupervisor, SimpleQueue[str]]:
    failures: SimpleQueue[str] = SimpleQueue()
    supervisor = ProcessSupervisor("it", launch, Console(["it"]), failures.put, **options)
    supervisor.start()
    return supervisor, failures


def stop(supervisor: ProcessSupervisor, wait_s: float = 10) -> None:
    supervisor.request_stop()
    supervisor.wait(time.monotonic() + wait_s)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_process_is_restarted(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    launch = ShellLauncher("exec sleep 60")
    supervisor, failures = supervise(launch)
    wait_for(lambda: launch.started, "the first start")

    launch.started[0].send_signal(number)
    wait_for(lambda: len(launch.started) == 2, "the second start")
    stop(supervisor)

    output = capsys.readouterr().out
    assert f"it was killed by {number.name}; restarting in 1 s" in output
    assert f"it started (pid={launch.started[1].pid})" in output
    assert launch.started[1].returncode == -signal.SIGTERM
    assert failures.empty()


def test_the_children_of_a_killed_process_do_not_outlive_it() -> None:
    launch = ShellLauncher("sleep 60 & echo $!; wait")
    supervisor, _ = supervise(launch)
    wait_for(lambda: launch.started, "the first start")

    launch.started[0].kill()
    wait_for(lambda: len(launch.started) == 2, "the second start")  # the orphaned child would hold the output pipe
    stop(supervisor)

    assert [process.returncode for process in launch.started] == [-signal.SIGKILL, -signal.SIGTERM]


def test_a_process_without_restarts_runs_once(capsys: pytest.CaptureFixture[str]) -> None:
    launch = ShellLauncher("echo last words; exit 3")
    supervisor, failures = supervise(launch, restarts=False)
    supervisor.wait(time.monotonic() + 10)

    assert len(launch.started) == 1
    assert [line.split("| ")[1] for line in capsys.readouterr().out.splitlines()][1:] == [
        "last words",
        "it exited with code 3",
    ]
    with pytest.raises(Empty):
        failures.get_nowait()


def test_a_process_that_ignores_sigterm_is_killed_after_the_deadline() -> None:
    launch = ShellLauncher("trap '' TERM; echo ready; while :; do sleep 60; done")
    supervisor, _ = supervise(launch)
    wait_for(lambda: launch.started, "the start")

    stop(supervisor, wait_s=0.5)

    assert launch.started[0].returncode in (-signal.SIGKILL, -signal.SIGTERM)  # the latter if the trap was not set yet
    assert len(launch.started) == 1


def test_a_stop_during_the_delay_before_a_restart_starts_nothing() -> None:
    launch = ShellLauncher("exit 1")
    supervisor, _ = supervise(launch)
    wait_for(lambda: launch.started and launch.started[0].returncode is not None, "the first end")

    stop(supervisor)

    assert len(launch.started) == 1


def test_a_failed_launch_is_retried() -> None:
    launch = ShellLauncher("exec sleep 60")
    errors = [OSError("no more processes")]

    def failing_once() -> Any:
        if errors:
            raise errors.pop()
        return launch()

    supervisor, _ = supervise(failing_once)
    wait_for(lambda: launch.started, "the start")
    stop(supervisor)

    assert len(launch.started) == 1


def test_the_delay_doubles_up_to_half_a_minute_and_resets_after_a_healthy_minute() -> None:
    policy = RestartPolicy()

    growing = [policy.delay_s(30, 1) for _ in range(7)]
    after_a_good_run = [policy.delay_s(60, 1), policy.delay_s(0, 1)]

    assert growing == [1, 2, 4, 8, 16, 30, 30]
    assert after_a_good_run == [1, 2]


@pytest.mark.parametrize(
    ("exits", "is_given_up"),
    [
        ([(0.1, 1)] * 4, False),
        ([(0.1, 1)] * 5, True),
        ([(19.9, 0)] * 5, True),
        ([(0.1, -signal.SIGSEGV)] * 5, True),
        ([(0.1, -signal.SIGKILL)] * 9, False),
        ([(0.1, -signal.SIGTERM)] * 9, False),
        ([(0.1, 1)] * 4 + [(20, 1)] + [(0.1, 1)] * 9, False),
        ([(20, -signal.SIGKILL)] + [(0.1, 1)] * 9, False),
    ],
)
def test_only_a_process_whose_first_five_starts_all_fail_is_given_up(
    exits: list[tuple[float, int]], is_given_up: bool
) -> None:
    policy = RestartPolicy()

    delays = [policy.delay_s(ran_s, code) for ran_s, code in exits]

    assert (delays[-1] is None) is is_given_up
    assert None not in delays[:-1]
