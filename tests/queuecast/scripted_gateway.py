"""A real HTTP server on the loopback that sends scripted answers and records the requests."""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False
    """Close the connection without an answer."""
    cut_after: int | None = None
    """Close the connection after this many bytes of the body. Content-Length is that of the whole body."""


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parts_of(request: Request) -> dict[str, tuple[str, bytes]]:
    """The parts of a form: name -> (content type, bytes)."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_content_type(),
            bytes(part.get_payload(decode=True)),
        )
        for part in message_from_bytes(head + request.body).get_payload()
    }


def problem(status: int, title: str, **more: Any) -> Answer:
    return Answer({"type": "urn:test", "title": title, "status": status, **more}, status)


def job(state: str = "queued", **more: Any) -> dict[str, Any]:
    return {
        "id": "job_1",
        "type": "prediction",
        "state": state,
        "revision": 1,
        "model": {"name": "titanic", "version": 3, "alias": "champion", "sha256": "ab"},
        "created_at": "2026-01-31T12:00:00.000Z",
        "started_at": None,
        "finished_at": None,
        "attempt": 0,
        "max_attempts": 1,
        "progress": None,
        "metadata": {},
    } | more


class ScriptedGateway:
    """`on("GET /v1/models", a, b)` answers a, then b every time. A call without a script is answered with 404."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._scripts: dict[str, list[Answer]] = defaultdict(list)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, call: str, *answers: Any) -> None:
        self._scripts[call] = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]

    def requests_to(self, call: str) -> list[Request]:
        return [request for request in self.requests if f"{request.method} {request.path}" == call]

    def only_request(self, call: str) -> Request:
        (request,) = self.requests_to(call)
        return request

    def _next(self, call: str) -> Answer:
        script = self._scripts[call]
        if not script:
            return problem(404, "Not scripted", detail=call)
        return script.pop(0) if len(script) > 1 else script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                gateway.requests.append(Request(self.command, parts.path, query, headers, body))
                answer = gateway._next(f"{self.command} {parts.path}")
                if answer.breaks:
                    self.close_connection = True
                    return
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(data)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: answer.cut_after])
                self.close_connection = self.close_connection or answer.cut_after is not None

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names http.server calls

            def log_message(self, *_: object) -> None:
                pass

        return Handler
