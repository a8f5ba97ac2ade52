"""How a process is hit: found while it has something to do, killed, frozen, or asked to end."""

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
class Hit:
    """One fault as it happened. `victims`: member names and pids whose claims must move on."""

    kind: str
    began_at: float
    ended_at: float
    queue: str = "predict"
    victims: tuple[str, ...] = ()
    detail: str = ""
    is_kill: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may touch."""

    cluster: Cluster
    load: Load
    random: random.Random
    lease_s: float


def busy(scene: Scene, role: str) -> Member:
    """A member that runs, and has most likely something to run."""
    scene.load.bait("train" if role == "trainer" else "predict")
    wait(lambda: bool(scene.cluster.of_role(role)), STOP_LIMIT_S)
    return scene.random.choice(scene.cluster.of_role(role))


def pid_of(member: Member) -> int:
    """Raises ProcessLookupError for a member that is between two lives."""
    process = member.process
    if process is None:
        raise ProcessLookupError(f"{member.name} does not run now")
    return process.pid


def kill_member(scene: Scene, kind: str, member: Member, queue: str) -> Hit:
    lives, pid = member.starts, pid_of(member)
    victims = (member.name, *map(str, [pid, *children(pid)]))
    began_at = kill(scene.cluster, [pid])
    # The rest of the fault is the supervisor's: it ends when the dead one has been noticed.
    wait(lambda: member.process is None or member.starts > lives, 5)
    return Hit(kind, began_at, time.time(), queue, victims, member.name, is_kill=True)


def kill(cluster: Cluster, pids: list[int]) -> float:
    began_at = time.time()
    for pid in pids:
        cluster.signal(pid, signal.SIGKILL)
    return began_at


def freeze(scene: Scene, kind: str, pids: list[int], seconds: float) -> Hit:
    began_at = time.time()
    with scene.cluster.frozen(pids):
        time.sleep(seconds)
    return Hit(kind, began_at, time.time(), "predict", tuple(map(str, pids)), f"{seconds:.1f} s")


def terminate(cluster: Cluster, member: Member) -> bool:
    """Whether it ended in time when it was asked to; it is killed if not."""
    lives, pid = member.starts, pid_of(member)
    cluster.signal(pid, signal.SIGTERM)
    has_ended = wait(lambda: member.process is None or member.starts > lives, STOP_LIMIT_S)
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
