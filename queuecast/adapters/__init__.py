"""One file a technology. Picked in `api.main` and `worker.main`, and nowhere else."""
