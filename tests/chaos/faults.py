"""The faults. Each function injects one fault, returns its victims, and leaves nothing behind.

The supervisor restarts killed processes after a short random delay; a fault that kills Redis restarts it itself. A
fault has ended once the process is dead, resumed, or restarted.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import redis

from tests.chaos.cluster import has_reaper
from tests.chaos.injection import (
    STOP_LIMIT_S,
    FaultContext,
    InjectedFault,
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

FILLER = "chaos:junk"
LEADER = "qc:reaper"
LOCK_RENEWAL_S = 2.0  # a leader renews its lock at least this often
FULL_S = (2.0, 3.5)


Fault = Callable[[FaultContext, str], InjectedFault]


def kill_child(context: FaultContext, kind: str) -> InjectedFault:
    member = busy(context, "worker")
    pids = children(pid_of(member))
    began_at = kill(context.cluster, pids)
    return InjectedFault(
        kind, began_at, time.time(), "predict", tuple(map(str, pids)), f"of {member.name}", is_kill=True
    )


def kill_worker(context: FaultContext, kind: str) -> InjectedFault:
    return kill_member(context, kind, busy(context, "worker"), "predict")


def kill_trainer(context: FaultContext, kind: str) -> InjectedFault:
    return kill_member(context, kind, busy(context, "trainer"), "train")


def kill_gateway(context: FaultContext, kind: str) -> InjectedFault:
    return kill_member(context, kind, context.cluster.members["gateway"], "predict")


def kill_reaper(context: FaultContext, kind: str) -> InjectedFault:
    """Kills one reaper after the other until the leader is dead: its lock is then no longer renewed."""
    reapers = context.cluster.of_role("reaper")
    context.random.shuffle(reapers)
    for member in reapers:
        fault = kill_member(context, kind, member, "predict")
        with context.cluster.connect() as redis_client:
            before_ms = redis_client.pttl(LEADER)
            time.sleep(LOCK_RENEWAL_S)
            is_renewed = int(redis_client.pttl(LEADER)) > int(before_ms) - 1000 * LOCK_RENEWAL_S / 2
        if not is_renewed:
            break
    return replace(fault, ended_at=time.time())


def kill_redis(context: FaultContext, kind: str) -> InjectedFault:
    began_at = time.time()
    context.cluster.redis.kill()
    time.sleep(context.random.uniform(0.1, 1.0))
    context.cluster.redis.start()
    return InjectedFault(kind, began_at, time.time())


def restart_redis(context: FaultContext, kind: str) -> InjectedFault:
    began_at = time.time()
    context.cluster.redis.stop()
    time.sleep(context.random.uniform(0.1, 1.0))
    context.cluster.redis.start()
    return InjectedFault(kind, began_at, time.time())


def freeze_redis(context: FaultContext, kind: str) -> InjectedFault:
    return freeze(context, kind, [context.cluster.redis.pid], context.random.uniform(2, 4))


def freeze_worker(context: FaultContext, kind: str) -> InjectedFault:
    """Freezes a worker past its lease. When it resumes, another worker owns its jobs, and its writes must fail."""
    pid = pid_of(busy(context, "worker"))
    return freeze(context, kind, [pid, *children(pid)], context.lease_s + 1.5)


def freeze_child(context: FaultContext, kind: str) -> InjectedFault:
    return freeze(context, kind, children(pid_of(busy(context, "worker"))), context.lease_s + 1.5)


def cut_connections(context: FaultContext, kind: str) -> InjectedFault:
    began_at = time.time()
    with context.cluster.connect() as redis_client:
        cut = [int(redis_client.execute_command("CLIENT", "KILL", "TYPE", type_)) for type_ in ("normal", "pubsub")]
    return InjectedFault(kind, began_at, time.time(), detail=f"{sum(cut)} connections")


def fill_redis(context: FaultContext, kind: str) -> InjectedFault:
    """Leaves no memory for new data, for some seconds."""
    began_at = time.time()
    with context.cluster.connect() as redis_client:
        redis_client.set(FILLER, b"x" * 100_000)
        used = int(redis_client.info("memory")["used_memory"])
        try:
            redis_client.config_set("maxmemory", used + 50_000)
            time.sleep(context.random.uniform(*FULL_S))
        finally:
            free_memory(redis_client)
    return InjectedFault(kind, began_at, time.time())


def scale(context: FaultContext, kind: str) -> InjectedFault:
    """Scales down by one worker, cleanly, and up again after a moment."""
    member = busy(context, "worker")
    began_at = time.time()
    member.is_wanted = False
    try:
        is_clean = terminate(context.cluster, member)
        time.sleep(context.random.uniform(0.5, 2))
    finally:
        member.is_wanted = True
    return InjectedFault(kind, began_at, time.time(), detail=f"{member.name}{'' if is_clean else ' had to be killed'}")


def deploy(context: FaultContext, kind: str) -> InjectedFault:
    """A clean restart of every worker and the trainer, one by one."""
    began_at = time.time()
    forced = []
    for member in context.cluster.of_role("worker", "trainer"):
        starts_before = member.starts
        if not terminate(context.cluster, member):
            forced.append(member.name)
        wait(lambda member=member, before=starts_before: member.starts > before, STOP_LIMIT_S)
        context.cluster.wait_ready(START_LIMIT_S, member.name)
    return InjectedFault(kind, began_at, time.time(), detail=f"had to kill {', '.join(forced)}" if forced else "")


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill_child, kill_worker, kill_trainer, kill_gateway, kill_reaper, kill_redis, restart_redis, freeze_redis,
        freeze_worker, freeze_child, cut_connections, fill_redis, scale, deploy,
    )
}  # fmt: skip


def known_faults() -> tuple[str, ...]:
    """All faults that apply to this version of the service."""
    return tuple(kind for kind in FAULTS if kind != "kill_reaper" or has_reaper())


def inject(context: FaultContext, kind: str) -> InjectedFault:
    return FAULTS[kind](context, kind)


def free_memory(redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 0)
    redis_client.delete(FILLER)
