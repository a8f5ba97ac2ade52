"""What a tutorial on Flask and Celery shows: one message a job, a result backend, and a client that polls."""
