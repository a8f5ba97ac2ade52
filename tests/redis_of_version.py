"""A fake Redis that reports any version, for tests that need a server too old to install."""

import socketserver
import threading
from types import TracebackType
from typing import Any, Self

HELLO = b"%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"


class RedisOfVersion:
    """Answers INFO with `info`, rejects WAITAOF as an unknown command, and answers OK to everything else.

    `commands` holds the names of the commands received.
    """

    def __init__(self, info: str, port: int = 0) -> None:
        self.info = info
        self.commands: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while head := self.rfile.readline():
                    words = [self._word() for _ in range(int(head[1:]))]
                    outer.commands.append(words[0].decode().upper())
                    self.wfile.write(outer._answer(words[0].upper()))

            def _word(self) -> bytes:
                return self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2]

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def _answer(self, command: bytes) -> bytes:
        if command == b"HELLO":
            return HELLO
        if command == b"INFO":
            return b"$%d\r\n%s\r\n" % (len(self.info), self.info.encode())
        if command == b"WAITAOF":
            return b"-ERR unknown command 'WAITAOF'\r\n"
        return b"+OK\r\n"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._server.shutdown()
        self._server.server_close()


def info_of(version: str) -> str:
    return f"# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n"
