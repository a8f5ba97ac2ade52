"""Every figure by name, in the order in which a round takes them."""

from bench import bulk, by_size, idle, limits, long_polls, one_row_jobs
from bench.run import Figure

BOTH = ("tutorial", "queuecast")

FIGURES = {
    "closed": Figure(one_row_jobs.closed, (*BOTH, "litserve")),
    "burst": Figure(one_row_jobs.burst, BOTH),
    "open": Figure(one_row_jobs.open_loop, BOTH),
    "parked": Figure(long_polls.parked, ("queuecast",)),
    "bulk": Figure(bulk.bulk, ("queuecast",)),
    "idle": Figure(idle.idle, BOTH),
    "memory": Figure(idle.memory, BOTH),
    "rows": Figure(by_size.rows_per_job, BOTH, rounds=2),
    "during": Figure(bulk.during_a_batch, ("queuecast",), rounds=2),
    "workers": Figure(by_size.workers, ("queuecast",), rounds=2),
    "limits": Figure(limits.limits, ("queuecast",), rounds=2),
    "profile": Figure(one_row_jobs.profile, ("queuecast",)),
}
NOT_BY_DEFAULT = ("profile",)
