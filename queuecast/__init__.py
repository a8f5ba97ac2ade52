"""queuecast turns a trained scikit-learn model into an asynchronous service.

`Client` connects to a running gateway. `holdout` splits rows as a retraining will split them.
"""

from typing import TYPE_CHECKING, Any

from queuecast.domain.holdout import HoldoutRule, Split, holdout

if TYPE_CHECKING:
    from queuecast.client import ApiError, Client, GatewayUnreachable, JobFailed, JobHandle, TooManyRows

__version__ = "0.1.0"
__all__ = [
    "ApiError",
    "Client",
    "GatewayUnreachable",
    "HoldoutRule",
    "JobFailed",
    "JobHandle",
    "Split",
    "TooManyRows",
    "__version__",
    "holdout",
]


def __getattr__(name: str) -> Any:
    # Lazy, because the images of the gateway and the workers do not have the client's HTTP library.
    if name in __all__:
        from queuecast import client  # noqa: PLC0415

        return getattr(client, name)
    raise AttributeError(f"module 'queuecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
