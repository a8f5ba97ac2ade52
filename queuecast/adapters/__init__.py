"""One file a technology. Picked in `api.main`, `worker.main` and `queuecast.admin`, and nowhere else."""
