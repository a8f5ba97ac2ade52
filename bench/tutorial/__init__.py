"""The service of a tutorial on Flask and Celery: one message per job, a result backend, and a client that polls."""
