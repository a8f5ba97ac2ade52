"""Commands of many threads in few round trips: who comes while another's are under way goes with the next.

A thread that calls Redis by itself gives up Python's lock three times and more and gets it back each time only after
others; among the many threads of a gateway that cost more than the call. Here one thread sends what all have queued,
as one pipeline, and wakes them; alone, it does what it would have done anyway, and waits for nobody.
"""

import threading
import time
import weakref
from typing import Any

import hiredis
import redis

MOST_TOGETHER = 128  # beyond that, who came first waits for others without need
LOOK_AFTER_S = 0.05  # a connection that was used a moment ago is there still; to look is a system call


class _Turn:
    """One thread's command, and a lock that is held until it is answered or is to be sent by the thread itself."""

    __slots__ = ("answer", "command", "is_answered", "wake")

    def __init__(self, command: tuple[Any, ...]) -> None:
        self.command = command
        self.answer: Any = None
        self.is_answered = False
        self.wake = threading.Lock()
        self.wake.acquire()


class CommandBatcher:
    """Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._connection: Any = None
        self._used_at = float("-inf")
        self._lock = threading.Lock()
        self._queue: list[_Turn] = []
        self._is_sending = False

    def call(self, *command: Any) -> Any:
        """What Redis answers to one command, as bytes and lists. Raises what redis-py raises."""
        turn = _Turn(command)
        with self._lock:
            self._queue.append(turn)
            must_wait = self._is_sending
            self._is_sending = True
        if must_wait:
            turn.wake.acquire()
        if not turn.is_answered:
            self._send()
        if isinstance(turn.answer, BaseException):
            raise turn.answer
        return turn.answer

    def script(self, script: Any, args: list[Any]) -> Any:
        """script: as redis-py registers it; it is loaded where Redis does not have it, after a restart for example."""
        try:
            return self.call("EVALSHA", script.sha, 0, *args)
        except redis.exceptions.NoScriptError:
            return script(args=args)

    def _send(self) -> None:
        """Sends what is queued, the own command among it, and leaves the rest to the first of those that wait."""
        with self._lock:
            turns, self._queue = self._queue[:MOST_TOGETHER], self._queue[MOST_TOGETHER:]
        try:
            answers = self._answers([turn.command for turn in turns])
        except BaseException as error:  # it is everybody's, and who waits must hear of it, whatever it is
            answers = [error] * len(turns)
            if self._connection is not None:
                self._connection.disconnect()  # an answer that was not read must not be the next command's
        with self._lock:
            for turn, answer in zip(turns, answers, strict=True):
                turn.answer, turn.is_answered = answer, True
            heir = self._queue[0] if self._queue else None
            self._is_sending = heir is not None
        for turn in turns:
            turn.wake.release()
        if heir is not None:
            heir.wake.release()

    def _answers(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """One thread sends at a time, so it keeps a connection: to get one from the pool costs as much as the call."""
        connection = self._ready()
        # What redis-py does around this, for each argument once more, takes longer than to write them.
        connection.send_packed_command([b"".join(map(hiredis.pack_command, commands))])
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error)
        self._used_at = time.monotonic()
        return answers

    def _ready(self) -> Any:
        """The connection, and a new one in place of one that was closed while nobody used it. As a pool would do."""
        if self._connection is None:
            pool = self._redis.connection_pool
            self._connection = pool.get_connection()
            weakref.finalize(self, pool.release, self._connection)
        elif time.monotonic() - self._used_at > LOOK_AFTER_S:
            try:
                is_stale = self._connection.can_read()
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                is_stale = True
            if is_stale:
                self._connection.disconnect()
        return self._connection
