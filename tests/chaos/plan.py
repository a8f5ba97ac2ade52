"""The options of one chaos run, and the limits that apply to all runs."""

from dataclasses import dataclass

WORKERS = 2
REAPERS = 2
ATTEMPTS = 50  # a job must not run out of attempts because of the injected kills
POISON_ATTEMPTS = 3

REQUEST_TIMEOUT_S = 8.0  # a frozen Redis blocks the gateway for its socket timeout of 5 s
PATIENCE_S = 60.0  # how long a client repeats a submit before its outcome stays "unknown"
START_LIMIT_S = 90.0
RECOVERY_LIMIT_S = 60.0
ROUND_LIMIT_S = 300.0
QUIET_LIMIT_S = 90.0
REAPER_S = 5.0  # the reaper requeues a lost job within lease + 5 s
MEMORY_BOUND_BYTES = 4 * 2**20  # connection buffers, and scripts that a restarted Redis loads again


@dataclass(frozen=True, slots=True)
class Plan:
    """`faults` are injected in random order, each once before any is repeated."""

    seed: int
    faults: tuple[str, ...]
    rounds: int = 1
    jobs_per_round: int = 200
    lease_s: int = 4
    jobs_per_s: float = 15.0
    clients: int = 4
    is_brief: bool = False
    """Each round injects all faults, without waiting for the recovery from the previous fault."""
