"""Batches commands from many threads into one pipeline: commands issued while a batch is in flight join the next one.

A thread that calls redis-py on its own gives up Python's lock at least three times a command and then has to wait for
it; among the many threads of a gateway that costs more than the command. Here one thread sends the commands of all
and wakes them: 682 instead of 888 us of gateway CPU for each job of a burst (docs/performance.md). A lone thread sends
its command at once.
"""

import threading
import time
import weakref
from typing import Any

import hiredis
import redis

from queuecast.adapters.redis.script_loader import Script


class _Command:
    """One thread's command, and a lock that is held until it is answered or the thread must send it itself."""

    __slots__ = ("answer", "is_answered", "parts", "wake")

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts
        self.answer: Any = None
        self.is_answered = False
        self.wake = threading.Lock()
        self.wake.acquire()


class CommandBatcher:
    """Safe to share between threads."""

    IDLE_S = 0.05
    """A connection is checked only after it was idle for this long: the check is a system call."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._connection: Any = None
        self._used_at = float("-inf")
        self._lock = threading.Lock()
        self._queue: list[_Command] = []
        self._is_sending = False

    def call(self, *parts: Any) -> Any:
        """Sends one command and returns the answer as bytes and lists. Raises what redis-py raises."""
        command = _Command(parts)
        with self._lock:
            self._queue.append(command)
            must_wait = self._is_sending
            self._is_sending = True
        if must_wait:
            command.wake.acquire()
        if not command.is_answered:
            self._send()
        if isinstance(command.answer, BaseException):
            raise command.answer
        return command.answer

    def run(self, script: Script, args: list[Any]) -> Any:
        """Runs a script, and loads it first where Redis does not have it, for example after a restart."""
        try:
            return self.call("EVALSHA", script.registered.sha, 0, *args)
        except redis.exceptions.NoScriptError:
            return script.registered(args=args)

    def _send(self) -> None:
        """Sends the queued commands, this thread's among them, and makes the next waiting thread send the rest."""
        size = 128  # a larger batch makes its first thread wait without need
        with self._lock:
            batch, self._queue = self._queue[:size], self._queue[size:]
        try:
            answers = self._answers([command.parts for command in batch])
        except BaseException as error:  # every thread of the batch must get it, or it would wait forever
            answers = [error] * len(batch)
            if self._connection is not None:
                self._connection.disconnect()  # an unread answer must not become that of the next command
        with self._lock:
            for command, answer in zip(batch, answers, strict=True):
                command.answer, command.is_answered = answer, True
            next_sender = self._queue[0] if self._queue else None
            self._is_sending = next_sender is not None
        for command in batch:
            command.wake.release()
        if next_sender is not None:
            next_sender.wake.release()

    def _answers(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Only one thread sends at a time, so it keeps its connection: getting one from the pool costs a call more."""
        connection = self._open_connection()
        # redis-py's own packing checks each argument once more and takes longer than the sending.
        connection.send_packed_command([b"".join(map(hiredis.pack_command, commands))])
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error)
        self._used_at = time.monotonic()
        return answers

    def _open_connection(self) -> Any:
        """The connection. Like a pool, reconnects one that the server closed while it was idle."""
        if self._connection is None:
            pool = self._redis.connection_pool
            self._connection = pool.get_connection()
            weakref.finalize(self, pool.release, self._connection)
        elif time.monotonic() - self._used_at > self.IDLE_S:
            try:
                is_closed = self._connection.can_read()
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                is_closed = True
            if is_closed:
                self._connection.disconnect()
        return self._connection
