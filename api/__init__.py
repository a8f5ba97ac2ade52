"""The Flask gateway: bytes into jobs, jobs into answers. Never loads a model."""
