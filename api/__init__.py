"""The Flask gateway: bytes into jobs, jobs into answers. Never loads a model."""

import gc

# granian forks the process that imports this from its main process. To look for garbage writes to every object looked
# at, and so would copy all that the two share. Here, as api.main comes too late: its imports make Python look.
gc.freeze()
