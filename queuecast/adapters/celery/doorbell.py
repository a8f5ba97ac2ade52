"""Celery as the doorbell: the names of the tasks, the queue for a lane's message, and the producer.

Celery on Redis may lose or repeat a message. That is safe, because a message is only a hint.
"""

from celery import Celery
from kombu.exceptions import KombuError

from queuecast.adapters.celery.settings import OVERTAKING, PREDICT_QUEUE, PRIORITY_STEPS, TRAIN_QUEUE, celery_settings
from queuecast.domain.job import JobType
from queuecast.domain.lane import Lane
from queuecast.logs import get_logger

log = get_logger()

TASKS = {
    JobType.PREDICTION: "queuecast.predict",
    JobType.TRAINING: "queuecast.train",
    JobType.IMPORT: "queuecast.import_model",
    JobType.EVALUATION: "queuecast.evaluate",
    JobType.BATCH: "queuecast.batch",
    JobType.CHUNK: "queuecast.batch",
}


def queue_of(lane: str) -> str:
    return TRAIN_QUEUE if Lane.of_name(lane).is_for_trainer else PREDICT_QUEUE


def create_producer(redis_url: str) -> Celery:
    """An application that only sends."""
    app = Celery("queuecast", set_as_current=False, fixups=[])  # those for Django would import Celery's worker
    app.conf.update(celery_settings(redis_url))
    # One retry at once, for a stale connection. By default kombu tries for 6 s.
    app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
    return app


class CeleryDoorbell:
    """Publishes through Celery's public API on a pooled connection; safe to share between threads."""

    def __init__(self, redis_url: str) -> None:
        self._app = create_producer(redis_url)

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        served = Lane.of_name(lane)
        task = TASKS[served.type]
        priority = OVERTAKING if is_overtaking else PRIORITY_STEPS[1 + served.urgency]
        try:
            self._app.send_task(task, args=[lane], queue=queue_of(lane), priority=priority, ignore_result=True)
        except (KombuError, OSError) as error:
            log.warning("bell_not_rung", lane=lane, reason=str(error))
            return False
        return True
