"""Keeps stamina from printing `stamina.retry_scheduled` into a notebook when this client retries.

Its default hooks log every retry of the process, and unconfigured loggers print. Only the client's own retries are
left out. Hooks that the user has set are not touched.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks
from stamina.typing import RetryHook

_LOGGING_HOOKS = ("stamina.instrumentation._structlog", "stamina.instrumentation._logging")
_is_own: ContextVar[bool] = ContextVar("is_own", default=False)


@contextmanager
def own_retries() -> Iterator[None]:
    """Retries in the block are the client's own."""
    token = _is_own.set(True)
    try:
        yield
    finally:
        _is_own.reset(token)


def silence_own_retries() -> None:
    """Replaces the default hooks that log. Safe to call twice."""
    hooks = get_on_retry_hooks()
    if any(hook.__module__ in _LOGGING_HOOKS for hook in hooks):
        set_on_retry_hooks([_for_others(hook) if hook.__module__ in _LOGGING_HOOKS else hook for hook in hooks])


def _for_others(hook: RetryHook) -> RetryHook:
    def call_unless_own(details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if _is_own.get() else hook(details)

    return call_unless_own
