"""The Flask gateway: accepts jobs over HTTP and returns their results. Never loads a model."""
