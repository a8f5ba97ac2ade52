"""Measures queuecast against the service of a tutorial, on one machine in one run: `python -m bench` (`make bench`)."""
