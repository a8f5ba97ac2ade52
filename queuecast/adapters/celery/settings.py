"""The queues and settings that Celery's producer, its workers and Flower share.

No job was lost with these settings in any fault test: early acknowledgement, no prefetch, no result backend, no hidden
retries, short socket timeouts. Imports only packages of Flower's image.
"""

from typing import Any

from kombu import Exchange, Queue

PREDICT_QUEUE = "predict"
TRAIN_QUEUE = "train"
# On Redis each priority is a list of its own, and a worker polls them in this order. The first is for overtaking
# messages: their lanes have waited for too long behind more urgent ones. Then one follows for each urgency.
PRIORITY_STEPS = (0, 2, 4, 6, 8)
OVERTAKING = PRIORITY_STEPS[0]


def celery_settings(redis_url: str) -> dict[str, Any]:
    """The settings that the producer and the workers must share, and how both behave while Redis is away."""
    return {
        "broker_url": redis_url,
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "task_queues": [_queue(PREDICT_QUEUE), _queue(TRAIN_QUEUE)],
        "task_default_queue": PREDICT_QUEUE,
        "task_create_missing_queues": False,  # a typo fails at once instead of filling a queue without a worker
        "task_send_sent_event": False,  # Flower lists jobs, which `CeleryMonitor` shows, and no messages
        "task_publish_retry": False,  # a retried publish can send the message twice; the caller decides
        "broker_pool_acquire_timeout": 2.0,  # the default waits forever
        "broker_connection_timeout": 3.0,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # by default a worker exits after 100 attempts
        "broker_transport_options": {
            # Messages are acknowledged before their task runs. When a worker dies in between, Redis delivers the
            # message again after this time; the default is an hour.
            "visibility_timeout": 30,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,  # without it a half-open connection blocks forever
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "priority_steps": list(PRIORITY_STEPS),
        },
        "enable_utc": True,
    }


def lists_of(queue: str) -> list[str]:
    """The Redis lists of a queue's messages: the overtaking ones, then one list for each urgency."""
    return [queue, *(f"{queue}\x06\x16{step}" for step in PRIORITY_STEPS[1:])]


def _queue(name: str) -> Queue:
    # Without its own exchange a queue is bound to the default one, and every message goes to all queues.
    return Queue(name, Exchange(name), routing_key=name)
