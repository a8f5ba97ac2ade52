"""The ids of jobs and files: `job_` or `file_` and a UUID, as `queuecast.adapters.ids` makes them."""

import re

JOB_ID_RULE = re.compile(r"job_[0-9a-f-]{36}")
FILE_ID_RULE = re.compile(r"file_[0-9a-f-]{36}")
