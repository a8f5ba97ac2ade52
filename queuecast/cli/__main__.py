"""`python -m queuecast.cli`, the same as the `queuecast` command."""

from queuecast.cli.main import main

main()
