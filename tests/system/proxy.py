"""A proxy between a process and Redis that simulates network failures."""

import contextlib
import socket
from dataclasses import dataclass
from threading import Event, Thread


@dataclass
class Link:
    """One connection through the proxy."""

    near: socket.socket
    far: socket.socket
    drops_everything: bool = False
    drops_replies: bool = False
    """The near side no longer receives bytes from the far side."""


class Proxy:
    """Listens on a port of its own and forwards bytes to the target and back, unless a failure is simulated.

    `black_hole`: existing connections stay open but lose all bytes, as after a firewall has dropped their state; new
    connections work. `pause` and `resume`: all bytes wait, on new connections too, as in a partition that heals.
    `cut`: existing connections are closed. `drop_replies_to`: a request that contains these bytes reaches the target,
    but its connection gets no more replies.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: list[Link] = []
        self._running = Event()
        self._running.set()
        self._dropped_request = b""
        self.has_dropped_reply = Event()
        Thread(target=self._accept, daemon=True).start()

    def black_hole(self) -> int:
        """Returns the number of connections that are dead now."""
        for link in self._links:
            link.drops_everything = True
        return len(self._links)

    def pause(self) -> None:
        self._running.clear()

    def resume(self) -> None:
        self._running.set()

    def drop_replies_to(self, request: bytes) -> None:
        self._dropped_request = request

    def cut(self) -> None:
        for link in self._links:
            self._close(link)
        self._links.clear()

    def close(self) -> None:
        self._listener.close()
        self.resume()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
                except OSError:  # Redis is down
                    near.close()
                    continue
                far.settimeout(None)
                link = Link(near, far)
                self._links.append(link)
                Thread(target=self._forward, args=(link, near, far), daemon=True).start()
                Thread(target=self._forward, args=(link, far, near), daemon=True).start()

    def _forward(self, link: Link, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._running.wait()
                if self._dropped_request and source is link.near and self._dropped_request in data:
                    link.drops_replies = True
                    self.has_dropped_reply.set()
                if not link.drops_everything and not (link.drops_replies and source is link.far):
                    sink.sendall(data)
        if not link.drops_everything:  # a black hole does not forward the end of a connection either
            self._close(link)

    @staticmethod
    def _close(link: Link) -> None:
        for end in (link.near, link.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
