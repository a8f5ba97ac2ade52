"""Processes that die at a chosen call."""

from collections.abc import Callable
from typing import Any

from queuecast.domain.job import Progress


class ProcessKilled(BaseException):
    """The process dies here. Like SIGKILL, it ends in no `except Exception`."""


class KillAtCall:
    """Kills the process once, at a call of a method, before or after its work.

    Stays in place of the method. spared: the number of earlier calls that go through.
    """

    def __init__(self, owner: Any, name: str, *, after: bool, spared: int = 0) -> None:
        self._name, self._after, self._spared = name, after, spared
        self._original: Callable[..., Any] = getattr(owner, name)
        self.deaths = 0
        setattr(owner, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._spared or self.deaths:
            self._spared -= not self.deaths
            return self._original(*args, **kwargs)
        self.deaths += 1
        if self._after:
            self._original(*args, **kwargs)
        raise ProcessKilled(self._name)


def kill_at_step(models: Any, aliases: Any, where: str) -> Callable[[Progress], None]:
    """Kills the process at that stage, or around a publish or a move of an alias. Returns the report to run with.

    where: the name of a stage, or "publish before", "publish after", "move before", "move after".
    """
    step, _, when = where.partition(" ")
    if step == "publish" and when:
        KillAtCall(models, "publish", after=when == "after")
    if step == "move":
        KillAtCall(aliases, "move", after=when == "after")

    def report(progress: Progress) -> None:
        if progress.stage == where:
            raise ProcessKilled

    return report
