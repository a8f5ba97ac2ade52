"""All of queuecast in one terminal, for a machine with Python only: `python -m deploy.embedded` (`make run`)."""
