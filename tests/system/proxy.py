"""A network between a process and Redis that fails in the ways that a real one does."""

import contextlib
import socket
from dataclasses import dataclass
from threading import Event, Thread


@dataclass
class Link:
    """One connection through the proxy."""

    near: socket.socket
    far: socket.socket
    is_swallowed: bool = False
    is_deaf: bool = False
    """The near side does not hear the far one any more."""


class Proxy:
    """Listens on a port of its own and carries bytes to the target and back, until it is told not to.

    `swallow`: present connections stay open and nothing arrives any more, as after a firewall has forgotten them; new
    ones work. `hold` and `release`: all bytes wait, those of new connections too, as in a partition that heals.
    `cut`: present connections are closed. `lose_answers_to`: what has these bytes in it arrives, its answer does not.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: list[Link] = []
        self._flows = Event()
        self._flows.set()
        self._unanswered = b""
        self.was_left_unanswered = Event()
        Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> int:
        """Returns how many connections are dead now."""
        for link in self._links:
            link.is_swallowed = True
        return len(self._links)

    def hold(self) -> None:
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    def lose_answers_to(self, request: bytes) -> None:
        self._unanswered = request

    def cut(self) -> None:
        for link in self._links:
            self._close(link)
        self._links.clear()

    def close(self) -> None:
        self._listener.close()
        self.release()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
                except OSError:  # Redis is away
                    near.close()
                    continue
                far.settimeout(None)
                link = Link(near, far)
                self._links.append(link)
                Thread(target=self._carry, args=(link, near, far), daemon=True).start()
                Thread(target=self._carry, args=(link, far, near), daemon=True).start()

    def _carry(self, link: Link, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if self._unanswered and source is link.near and self._unanswered in data:
                    link.is_deaf = True
                    self.was_left_unanswered.set()
                if not link.is_swallowed and not (link.is_deaf and source is link.far):
                    sink.sendall(data)
        if not link.is_swallowed:  # else the other side does not hear of the end either
            self._close(link)

    @staticmethod
    def _close(link: Link) -> None:
        for end in (link.near, link.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
