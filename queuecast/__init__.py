"""queuecast turns a trained scikit-learn model into an asynchronous service.

`Client` connects to a running gateway. `holdout` splits rows as a retraining will split them.
"""

from typing import TYPE_CHECKING, Any

from queuecast.domain.holdout import holdout

if TYPE_CHECKING:
    from queuecast.client import Client

__version__ = "0.1.0"
__all__ = ["Client", "__version__", "holdout"]


def __getattr__(name: str) -> Any:
    # Lazy, because the images of the gateway and the workers do not have the client's HTTP library.
    if name == "Client":
        from queuecast.client import Client  # noqa: PLC0415

        return Client
    raise AttributeError(f"module 'queuecast' has no attribute {name!r}")
