"""One file a technology. Picked in `api.main`, `worker.main` and `queuecast.cli.admin`, and nowhere else."""
