"""Every figure by name, in the order in which a round takes them."""

from bench import one_row_jobs
from bench.run import Figure

BOTH = ("tutorial", "queuecast")

FIGURES = {
    "closed": Figure(one_row_jobs.closed, (*BOTH, "litserve")),
    "burst": Figure(one_row_jobs.burst, BOTH),
    "open": Figure(one_row_jobs.open_loop, BOTH),
    "profile": Figure(one_row_jobs.profile, ("queuecast",)),
}
NOT_BY_DEFAULT = ("profile",)
