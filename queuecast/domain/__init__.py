"""The rules of jobs, model versions, signatures and the gate. Standard library only; no clock, no I/O."""
