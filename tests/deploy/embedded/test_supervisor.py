"""A kept process is started again, with patience; one that never worked is given up."""

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


class Watched:
    """Starts a shell line and remembers every process that it became."""

    def __init__(self, line: str) -> None:
        self._line = line
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", self._line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.started.append(process)
        return process


def kept(launch: Callable[[], Any], **options: bool) -> tuple[ProcessSupervisor, SimpleQueue[str]]:
    given_up: SimpleQueue[str] = SimpleQueue()
    keeper = ProcessSupervisor("it", launch, Console(["it"]), given_up.put, **options)
    keeper.start()
    return keeper, given_up


def stop(keeper: ProcessSupervisor, wait_s: float = 10) -> None:
    keeper.ask_to_stop()
    keeper.wait(time.monotonic() + wait_s)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_that_was_killed_is_started_again(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    launch = Watched("exec sleep 60")
    keeper, given_up = kept(launch)
    wait_for(lambda: launch.started, "the first start")

    launch.started[0].send_signal(number)
    wait_for(lambda: len(launch.started) == 2, "the second start")
    stop(keeper)

    screen = capsys.readouterr().out
    assert f"it was ended by {number.name}; it is started again in 1 s" in screen
    assert f"it started (pid={launch.started[1].pid})" in screen
    assert launch.started[1].returncode == -signal.SIGTERM
    assert given_up.empty()


def test_the_children_of_a_killed_process_do_not_outlive_it() -> None:
    launch = Watched("sleep 60 & echo $!; wait")
    keeper, _ = kept(launch)
    wait_for(lambda: launch.started, "the first start")

    launch.started[0].kill()
    wait_for(lambda: len(launch.started) == 2, "the second start")  # the child held the pipe that is read to its end
    stop(keeper)

    assert [process.returncode for process in launch.started] == [-signal.SIGKILL, -signal.SIGTERM]


def test_one_that_may_end_is_not_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    launch = Watched("echo last words; exit 3")
    keeper, given_up = kept(launch, kept=False)
    keeper.wait(time.monotonic() + 10)

    assert len(launch.started) == 1
    assert [line.split("| ")[1] for line in capsys.readouterr().out.splitlines()][1:] == [
        "last words",
        "it ended with exit code 3",
    ]
    with pytest.raises(Empty):
        given_up.get_nowait()


def test_one_that_does_not_stop_is_killed_after_the_deadline() -> None:
    launch = Watched("trap '' TERM; echo ready; while :; do sleep 60; done")
    keeper, _ = kept(launch)
    wait_for(lambda: launch.started, "the start")

    stop(keeper, wait_s=0.5)

    assert launch.started[0].returncode in (-signal.SIGKILL, -signal.SIGTERM)  # the latter before its trap was set
    assert len(launch.started) == 1


def test_a_stop_in_the_pause_before_a_start_starts_nothing() -> None:
    launch = Watched("exit 1")
    keeper, _ = kept(launch)
    wait_for(lambda: launch.started and launch.started[0].returncode is not None, "the first end")

    stop(keeper)

    assert len(launch.started) == 1


def test_a_start_that_fails_is_tried_again() -> None:
    launch = Watched("exec sleep 60")
    left = [OSError("no more processes")]

    def failing_once() -> Any:
        if left:
            raise left.pop()
        return launch()

    keeper, _ = kept(failing_once)
    wait_for(lambda: launch.started, "the start")
    stop(keeper)

    assert len(launch.started) == 1


def test_the_pause_doubles_to_half_a_minute_and_is_short_again_after_a_minute_of_good_running() -> None:
    patience = RestartPolicy()

    growing = [patience.pause_s(30, 1) for _ in range(7)]
    after_a_good_run = [patience.pause_s(60, 1), patience.pause_s(0, 1)]

    assert growing == [1, 2, 4, 8, 16, 30, 30]
    assert after_a_good_run == [1, 2]


@pytest.mark.parametrize(
    ("ends", "is_given_up"),
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
def test_only_what_failed_at_once_on_its_first_five_tries_is_given_up(
    ends: list[tuple[float, int]], is_given_up: bool
) -> None:
    patience = RestartPolicy()

    pauses = [patience.pause_s(ran_s, code) for ran_s, code in ends]

    assert (pauses[-1] is None) is is_given_up
    assert None not in pauses[:-1]
