"""The Celery side: claims jobs, runs estimators, writes results. Imports no web framework."""
