"""An HTTP/1.1 client for many connections in one thread, cheap enough to share two cores with the servers.

A script is a generator: it yields the bytes of a request and is sent `(status, body)`, or yields a moment of
`time.perf_counter()` and goes on then. Each script has its own connection, opened again after the server closed it.
Takes only answers with a Content-Length, which is all that the measured servers send.
"""

import heapq
import select
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass

RECEIVE_BYTES = 16 * 1024  # a buffer of 128 KiB or more would be mapped and unmapped with each answer: 12 us
Answer = tuple[int, bytes]
Script = Generator[bytes | float, Answer, None]
NOTHING: Answer = (0, b"")


@dataclass(slots=True)
class Client:
    """A script and its connection, which is opened with the first request: a server that gives a thread or a whole
    process to each open connection is not to wait for one that says nothing."""

    script: Script
    connection: socket.socket | None = None
    request: bytes = b""
    received: bytes = b""
    is_waiting: bool = False


def connect(address: tuple[str, int]) -> socket.socket:
    connected = socket.create_connection(address, timeout=30)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.settimeout(0)
    return connected


class Drive:
    def __init__(self, address: tuple[str, int], scripts: list[Script]) -> None:
        self._address = address
        self._scripts = scripts
        self._running = 0
        self._epoll = select.epoll()
        self._by_number: dict[int, Client] = {}
        self._sleeping: list[tuple[float, int, Client]] = []

    def run(self) -> None:
        """Returns when every script has ended."""
        for script in self._scripts:
            self._running += 1
            self._step(Client(script), None)
        while self._running:
            wait_s = max(0.0, self._sleeping[0][0] - time.perf_counter()) if self._sleeping else -1
            for number, _ in self._epoll.poll(wait_s):
                self._receive(self._by_number[number])
            now = time.perf_counter()
            while self._sleeping and self._sleeping[0][0] <= now:
                self._step(heapq.heappop(self._sleeping)[2], NOTHING)
        self._epoll.close()

    def _step(self, client: Client, answer: Answer | None) -> None:
        try:
            wanted = next(client.script) if answer is None else client.script.send(answer)
        except StopIteration:
            self._running -= 1
            self._disconnect(client)
            return
        if isinstance(wanted, bytes):
            client.request, client.is_waiting = wanted, True
            self._send(client)
        else:
            heapq.heappush(self._sleeping, (wanted, id(client), client))

    def _send(self, client: Client) -> None:
        if client.connection is None:
            client.connection, client.received = connect(self._address), b""
            self._by_number[client.connection.fileno()] = client
            self._epoll.register(client.connection.fileno(), select.EPOLLIN)
        try:
            sent = client.connection.send(client.request)
        except (BrokenPipeError, ConnectionResetError):
            self._disconnect(client)
            self._send(client)
            return
        if sent < len(
            client.request
        ):  # the request does not fit into the socket's buffer, which blocks this thread alone
            client.connection.settimeout(30)
            client.connection.sendall(client.request[sent:])
            client.connection.settimeout(0)

    def _disconnect(self, client: Client) -> None:
        if client.connection is not None:
            del self._by_number[client.connection.fileno()]
            self._epoll.unregister(client.connection.fileno())
            client.connection.close()
            client.connection = None

    def _receive(self, client: Client) -> None:
        answer, is_closing = read(client)
        if is_closing:
            self._disconnect(client)
        if answer is not None:
            client.is_waiting = False
            self._step(client, answer)
        elif is_closing and client.is_waiting:
            # A server may close an idle connection just as it is used again (RFC 9112, 9.3.1).
            self._send(client)


def read(client: Client) -> tuple[Answer | None, bool]:
    """One answer if it is complete, and whether the server closes the connection."""
    try:
        chunk = client.connection.recv(RECEIVE_BYTES) if client.connection else b""
    except BlockingIOError:
        return None, False
    except ConnectionResetError:
        chunk = b""
    if not chunk:
        return None, True
    received = client.received + chunk if client.received else chunk
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        client.received = received
        return None, False
    head = received[:head_end].lower()
    at = head.find(b"\r\ncontent-length:")
    length_end = head.find(b"\r\n", at + 2)
    body_bytes = int(head[at + 17 : length_end if length_end > 0 else len(head)]) if at >= 0 else 0
    if len(received) < head_end + 4 + body_bytes:
        client.received = received
        return None, False
    client.received = b""
    return (int(head[9:12]), received[head_end + 4 :]), b"\r\nconnection: close" in head
