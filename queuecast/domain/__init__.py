"""The rules: what a job, a model version, a signature and a gate are. Standard library only; no clock, no I/O."""
