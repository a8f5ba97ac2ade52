"""The Python client. It needs neither Redis nor scikit-learn."""

from queuecast.client.client import DEFAULT_URL, Client
from queuecast.client.errors import ApiError, GatewayUnreachable, TooManyRows
from queuecast.client.ignored_columns import IgnoredColumnsWarning
from queuecast.client.job import JobFailed, JobHandle
from queuecast.client.pushing import NotComparedWarning

__all__ = [
    "DEFAULT_URL",
    "ApiError",
    "Client",
    "GatewayUnreachable",
    "IgnoredColumnsWarning",
    "JobFailed",
    "JobHandle",
    "NotComparedWarning",
    "TooManyRows",
]
