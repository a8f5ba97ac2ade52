"""The mechanics of a fault: choose a busy process, then kill it, freeze it, or terminate it."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.cluster import Cluster
from tests.chaos.load import Load
from tests.chaos.member import Member, children

STOP_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault as it happened. `victims`: names and pids of members whose jobs must go to other workers."""

    kind: str
    began_at: float
    ended_at: float
    queue: str = "predict"
    victims: tuple[str, ...] = ()
    detail: str = ""
    is_kill: bool = False


@dataclass(frozen=True, slots=True)
class FaultContext:
    """Everything that a fault may affect."""

    cluster: Cluster
    load: Load
    random: random.Random
    lease_s: float


def busy(context: FaultContext, role: str) -> Member:
    """A running member of the role that is most likely running a job."""
    context.load.keep_busy("train" if role == "trainer" else "predict")
    wait(lambda: bool(context.cluster.of_role(role)), STOP_LIMIT_S)
    return context.random.choice(context.cluster.of_role(role))


def pid_of(member: Member) -> int:
    """Raises ProcessLookupError if the member is waiting for its restart."""
    process = member.process
    if process is None:
        raise ProcessLookupError(f"{member.name} is not running")
    return process.pid


def kill_member(context: FaultContext, kind: str, member: Member, queue: str) -> InjectedFault:
    starts_before, pid = member.starts, pid_of(member)
    victims = (member.name, *map(str, [pid, *children(pid)]))
    began_at = kill(context.cluster, [pid])
    # The fault ends once the supervisor has noticed the death.
    wait(lambda: member.process is None or member.starts > starts_before, 5)
    return InjectedFault(kind, began_at, time.time(), queue, victims, member.name, is_kill=True)


def kill(cluster: Cluster, pids: list[int]) -> float:
    began_at = time.time()
    for pid in pids:
        cluster.signal(pid, signal.SIGKILL)
    return began_at


def freeze(context: FaultContext, kind: str, pids: list[int], seconds: float) -> InjectedFault:
    began_at = time.time()
    with context.cluster.frozen(pids):
        time.sleep(seconds)
    return InjectedFault(kind, began_at, time.time(), "predict", tuple(map(str, pids)), f"{seconds:.1f} s")


def terminate(cluster: Cluster, member: Member) -> bool:
    """Sends SIGTERM, then SIGKILL if the member does not exit in time. Returns whether it exited in time."""
    starts_before, pid = member.starts, pid_of(member)
    cluster.signal(pid, signal.SIGTERM)
    has_ended = wait(lambda: member.process is None or member.starts > starts_before, STOP_LIMIT_S)
    if not has_ended:
        cluster.signal(pid, signal.SIGKILL)
    return has_ended


def wait(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
