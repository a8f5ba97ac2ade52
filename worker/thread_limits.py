"""Limits the threads of numeric libraries. Import it before numpy: the libraries read these variables only once."""

import os

from queuecast.config import read_settings

# Two children with a pool of threads each made a 0.3 s fit take 13.5 s on two cores. A fit raises the limit for itself
# where it may; see worker/trainings/threads.py.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(read_settings().model_threads or 1))
# pandas imports pyarrow, whose allocator would start a thread. A parent process that forks must have no other thread.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
