"""All of queuecast in one terminal, on a machine that has only Python: `python -m deploy.embedded` (`make run`)."""
