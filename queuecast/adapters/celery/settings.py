"""What Celery's producer, its workers and Flower agree on: queues, their lists, and settings.

The settings are the ones that lost nothing under faults: early acknowledgement, no prefetch, no result backend,
no hidden retries, short socket timeouts. Needs nothing that Flower's image has not.
"""

from typing import Any

from kombu import Exchange, Queue

PREDICT_QUEUE = "predict"
TRAIN_QUEUE = "train"
# On Redis 0 goes first: a list each, which a worker looks into in this order. The first is for bells that were passed
# by others for too long, the others are one for each urgency.
PRIORITY_STEPS = (0, 2, 4, 6, 8)
OVERDUE = PRIORITY_STEPS[0]


def celery_settings(redis_url: str) -> dict[str, Any]:
    """What the producer and the workers must agree on, and how either behaves when Redis does not answer."""
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
        "task_create_missing_queues": False,  # a typo fails loudly instead of filling a queue nobody reads
        "task_send_sent_event": True,  # Flower
        "task_publish_retry": False,  # the caller decides: a retried publish leaves two messages
        "broker_pool_acquire_timeout": 2.0,  # the default waits for ever
        "broker_connection_timeout": 3.0,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # the default gives up after 100 and the worker exits
        "broker_transport_options": {
            # Messages are acknowledged before they run. What a worker left that died in between is rung again soon,
            # which is harmless, instead of lying there for an hour.
            "visibility_timeout": 30,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,  # without it a half-open connection blocks for ever
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "priority_steps": list(PRIORITY_STEPS),
        },
        "enable_utc": True,
    }


def lists_of(queue: str) -> list[str]:
    """The Redis lists in which a queue's messages wait: the overdue, and then one an urgency."""
    return [queue, *(f"{queue}\x06\x16{step}" for step in PRIORITY_STEPS[1:])]


def _queue(name: str) -> Queue:
    # Without an exchange of its own a queue is bound to the default one, and every message lands in all queues.
    return Queue(name, Exchange(name), routing_key=name)
