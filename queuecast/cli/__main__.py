"""Runs the `queuecast` command as `python -m queuecast.cli`."""

from queuecast.cli.main import main

main()
