"""Flower's options (docs of Flower: "Configuration").

Flower compares the password in constant time, and asks for it everywhere but on `/healthcheck` and `/metrics`, which
name workers and tasks only.
"""

from pathlib import Path

port = 5555
basic_auth = ["flower:" + Path("/run/queuecast/flower_password").read_text().strip()]
read_only = True  # without it every user who logs in can stop workers and send them tasks
persistent = False  # its file is a pickle
max_tasks = 10_000  # the default keeps 100,000 in memory
tasks_columns = "name,uuid,state,args,received,runtime,worker,result,exception"
purge_offline_workers = 300  # seconds; a container that was scaled away never comes back under its name
