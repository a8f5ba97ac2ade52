"""The Python client. It needs neither Redis nor scikit-learn."""

from queuecast.client.client import Client, TooManyRows
from queuecast.client.job import JobFailed, JobHandle
from queuecast.client.transport import ApiError, GatewayUnreachable

__all__ = ["ApiError", "Client", "GatewayUnreachable", "JobFailed", "JobHandle", "TooManyRows"]
