"""What is done to the service. Each fault injects itself, says whom it hit, and leaves nothing behind.

Processes that a fault killed come back through the supervisor after a short random delay; a Redis that it killed it
restarts itself. A fault has ended when the process is dead, goes on, or is back.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import redis

from tests.chaos.cluster import has_reaper
from tests.chaos.injection import (
    STOP_LIMIT_S,
    Hit,
    Scene,
    busy,
    freeze,
    kill,
    kill_member,
    pid_of,
    terminate,
    wait,
)
from tests.chaos.member import children
from tests.chaos.plan import START_LIMIT_S

JUNK = "chaos:junk"
LEADER = "qc:reaper"
RENEWED_S = 2.0  # a leader renews its lock more often than this
FULL_S = (2.0, 3.5)


Fault = Callable[[Scene, str], Hit]


def kill_child(scene: Scene, kind: str) -> Hit:
    member = busy(scene, "worker")
    pids = children(pid_of(member))
    began_at = kill(scene.cluster, pids)
    return Hit(kind, began_at, time.time(), "predict", tuple(map(str, pids)), f"of {member.name}", is_kill=True)


def kill_worker(scene: Scene, kind: str) -> Hit:
    return kill_member(scene, kind, busy(scene, "worker"), "predict")


def kill_trainer(scene: Scene, kind: str) -> Hit:
    return kill_member(scene, kind, busy(scene, "trainer"), "train")


def kill_gateway(scene: Scene, kind: str) -> Hit:
    return kill_member(scene, kind, scene.cluster.members["gateway"], "predict")


def kill_reaper(scene: Scene, kind: str) -> Hit:
    """The leader. Its lock does not say who that is, so one is killed, and the other as well when that one led."""
    reapers = scene.cluster.of_role("reaper")
    scene.random.shuffle(reapers)
    for member in reapers:
        hit = kill_member(scene, kind, member, "predict")
        with scene.cluster.connect() as client:
            before_ms = client.pttl(LEADER)
            time.sleep(RENEWED_S)
            is_renewed = int(client.pttl(LEADER)) > int(before_ms) - 1000 * RENEWED_S / 2
        if not is_renewed:
            break
    return replace(hit, ended_at=time.time())


def kill_redis(scene: Scene, kind: str) -> Hit:
    began_at = time.time()
    scene.cluster.redis.kill()
    time.sleep(scene.random.uniform(0.1, 1.0))
    scene.cluster.redis.start()
    return Hit(kind, began_at, time.time())


def restart_redis(scene: Scene, kind: str) -> Hit:
    began_at = time.time()
    scene.cluster.redis.stop()
    time.sleep(scene.random.uniform(0.1, 1.0))
    scene.cluster.redis.start()
    return Hit(kind, began_at, time.time())


def freeze_redis(scene: Scene, kind: str) -> Hit:
    return freeze(scene, kind, [scene.cluster.redis.pid], scene.random.uniform(2, 4))


def freeze_worker(scene: Scene, kind: str) -> Hit:
    """Longer than its lease: when it goes on, its jobs are somebody else's, and its writes must be refused."""
    pid = pid_of(busy(scene, "worker"))
    return freeze(scene, kind, [pid, *children(pid)], scene.lease_s + 1.5)


def freeze_child(scene: Scene, kind: str) -> Hit:
    return freeze(scene, kind, children(pid_of(busy(scene, "worker"))), scene.lease_s + 1.5)


def cut_connections(scene: Scene, kind: str) -> Hit:
    began_at = time.time()
    with scene.cluster.connect() as client:
        cut = [int(client.execute_command("CLIENT", "KILL", "TYPE", each)) for each in ("normal", "pubsub")]
    return Hit(kind, began_at, time.time(), detail=f"{sum(cut)} connections")


def fill_redis(scene: Scene, kind: str) -> Hit:
    """Leaves no room but for what is there already, for some seconds."""
    began_at = time.time()
    with scene.cluster.connect() as client:
        client.set(JUNK, b"x" * 100_000)
        used = int(client.info("memory")["used_memory"])
        try:
            client.config_set("maxmemory", used + 50_000)
            time.sleep(scene.random.uniform(*FULL_S))
        finally:
            make_room(client)
    return Hit(kind, began_at, time.time())


def scale(scene: Scene, kind: str) -> Hit:
    """One worker less for a while, ended cleanly, and up again."""
    member = busy(scene, "worker")
    began_at = time.time()
    member.is_wanted = False
    try:
        is_clean = terminate(scene.cluster, member)
        time.sleep(scene.random.uniform(0.5, 2))
    finally:
        member.is_wanted = True
    return Hit(kind, began_at, time.time(), detail=f"{member.name}{'' if is_clean else ' had to be killed'}")


def deploy(scene: Scene, kind: str) -> Hit:
    """A clean restart of every worker and the trainer, one by one."""
    began_at = time.time()
    forced = []
    for member in scene.cluster.of_role("worker", "trainer"):
        lives = member.starts
        if not terminate(scene.cluster, member):
            forced.append(member.name)
        wait(lambda member=member, lives=lives: member.starts > lives, STOP_LIMIT_S)
        scene.cluster.wait_ready(START_LIMIT_S, member.name)
    return Hit(kind, began_at, time.time(), detail=f"had to kill {', '.join(forced)}" if forced else "")


FAULTS: dict[str, Fault] = {
    each.__name__: each
    for each in (
        kill_child, kill_worker, kill_trainer, kill_gateway, kill_reaper, kill_redis, restart_redis, freeze_redis,
        freeze_worker, freeze_child, cut_connections, fill_redis, scale, deploy,
    )
}  # fmt: skip


def known_faults() -> tuple[str, ...]:
    """All that this code has the parts for."""
    return tuple(kind for kind in FAULTS if kind != "kill_reaper" or has_reaper())


def inject(scene: Scene, kind: str) -> Hit:
    return FAULTS[kind](scene, kind)


def make_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)
    client.delete(JUNK)
