"""The name of every key in Redis, for the Python code and, through `script_loader`, for the scripts.

A name that ends with a colon is the beginning of a key; the docstring says what follows it. A job is waiting in its
lane, or in `DELAYED`, and in neither once it has ended.
"""

PREFIX = "qc:"

JOB = "qc:job:"
"""+ job id. A hash: revision, state, attempt, record, work, rows, n_rows, result, and where the job is queued: lane,
entry (the id of its stream entry) and place (its number among all entries of the lane)."""
JOBS = "qc:jobs"
"""A sorted set of job ids without chunks, all with score 0: ids are UUIDv7, so their order is that of creation."""
CHANGES = "qc:changes"
"""A channel. A message has the ids of jobs that one call replaced; a `+` before an id: the job has not ended."""
GONE = "qc:gone:"
"""+ job id. Outlives the record, so that reading a past job raises GoneJobError and not UnknownJobError."""
EXPIRING = "qc:expiring"
"""A sorted set: job id by its start deadline."""
DELAYED = "qc:delayed"
"""A sorted set: id of a job that waits before its next attempt, by the time when it may enter its lane."""
DEAD = "qc:dead"
"""A sorted set: id of a dead letter by the time of its deletion."""
TRAINING = "qc:training:"
"""+ model. The id of the model's live training."""
IDEMPOTENCY = "qc:idempotency:"
"""+ digest of the caller's Idempotency-Key. A hash: job, fingerprint."""

LANE = "qc:lane:"
"""+ lane. A stream with the consumer group `workers`; an entry has a job's id, its rows and its bytes. An empty lane
has no key."""
LANES = "qc:lanes"
"""A set: the lanes that have a stream."""
BELLS = "qc:bells"
"""A hash: lane -> when it was last rung for, in ms; no field once a worker has come."""
ATTENDED = "qc:attended"
"""A hash: lane -> the worker that stays with it and when it last reserved jobs, as `worker ms`."""
LINGERING = "qc:lingering"
"""A hash: lane -> 1 while the worker that attends it is blocked on `WAKE`."""
WAKE = "qc:wake:"
"""+ lane. A list: the attending worker blocks on it until a job enters the lane."""
ENTERED = "qc:entered"
"""A hash: lane -> how many entries have entered it since it was last empty."""
TAKEN = "qc:taken"
"""A hash: lane -> how many entries have left it, or were taken, since it was last empty."""
ENTRIES = "qc:entries"
"""A counter of all entries of all lanes."""

BATCH = "qc:batch:"
"""+ batch id + ":" + number of the plan. A hash: index of a finished chunk -> `rows:bad`, and the sums rows and bad."""
BATCHES = "qc:batches"
"""A hash: id of a batch with unfinished chunks -> number of its plan."""

ALIASES = "qc:aliases:"
"""+ model. A hash: generation, `alias:{name}` -> version, and `deleted:{version}` -> 1. The prefix allows an alias
named `generation`."""
ALIAS_HISTORY = "qc:alias-history:"
"""+ model. A list of moves as JSON, oldest first."""
UNEXPORTED = "qc:audit"
"""A set: models with moves that may not be in the audit file yet."""

WORKERS = "qc:workers"
"""A hash: worker -> its queues and its last report."""
REAPER = "qc:reaper"
"""The reaper that leads; expires when it dies."""
