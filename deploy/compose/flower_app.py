"""The Celery application that Flower watches: the broker and its queues, no tasks.

The broker's password comes from a file. On the command line or in the environment, where Flower looks for it, every
`docker inspect` would show it.
"""

from celery import Celery

from queuecast.adapters.celery.settings import celery_settings
from queuecast.config import read_settings

app = Celery("queuecast")
app.conf.update(celery_settings(read_settings().redis_url_with_password))
