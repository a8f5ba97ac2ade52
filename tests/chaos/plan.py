"""What one run of the chaos suite is asked to do, and the bounds that hold for all of them."""

from dataclasses import dataclass

WORKERS = 2
REAPERS = 2
ATTEMPTS = 50  # repeated kills are no fault of a job, so its attempts must outlast the whole run
POISON_ATTEMPTS = 3

REQUEST_TIMEOUT_S = 8.0  # a frozen Redis holds the gateway for its socket timeout of 5 s
PATIENCE_S = 60.0  # how long a client repeats a submit before it leaves it at "unknown"
START_LIMIT_S = 90.0
RECOVERY_LIMIT_S = 60.0
ROUND_LIMIT_S = 300.0
QUIET_LIMIT_S = 90.0
REAPER_S = 5.0  # the reaper's own pace: a lost job is given back within lease + 5 s
MEMORY_BOUND_BYTES = 4 * 2**20  # buffers of connections and scripts that a restarted Redis learns anew


@dataclass(frozen=True, slots=True)
class Plan:
    """`faults` is the deck: it is shuffled and dealt, and shuffled again when it is used up."""

    seed: int
    faults: tuple[str, ...]
    rounds: int = 1
    jobs_per_round: int = 200
    lease_s: int = 4
    jobs_per_s: float = 15.0
    clients: int = 4
    is_brief: bool = False
    """One round with the whole deck; a fault does not wait until the one before has been recovered from."""
