"""How fast queuecast is beside what a tutorial shows, on this machine, in one run: `python -m bench` (`make bench`)."""
