"""The HTTP client of the load against real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from bench.protocols import http
from bench.sockets import Answer, Drive, Script

BODY = b'{"id":"x"}' * 20


class ScriptedServer:
    """Sends scripted responses in pieces, one list of responses per connection."""

    def __init__(self, connections: list[list[list[bytes]]]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        self._thread.start()

    def _serve(self, connections: list[list[list[bytes]]]) -> None:
        for answers in connections:
            connected, _ = self._listening.accept()
            with closing(connected):
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for pieces in answers:
                    self.requests.append(connected.recv(65536))
                    for piece in pieces:
                        connected.sendall(piece)

    def close(self) -> None:
        self._thread.join(10)
        self._listening.close()


def answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


def asked(seen: list[Answer], requests: int) -> Script:
    for number in range(requests):
        seen.append((yield http("GET", f"/{number}")))


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[ScriptedServer]:
    server = ScriptedServer(request.param)
    yield server
    server.close()


WHOLE = answer(200, BODY)
LAST = answer(200, b"a", b"Connection: close\r\n")


@pytest.mark.parametrize("served", [[[[WHOLE], [answer(404, b"")]]]], indirect=True)
def test_one_connection_carries_several_answers(served: ScriptedServer) -> None:
    seen: list[Answer] = []

    Drive(served.address, [asked(seen, 2)]).run()

    assert seen == [(200, BODY), (404, b"")]


@pytest.mark.parametrize("served", [[[[WHOLE[:5], WHOLE[5:40], WHOLE[40:60], WHOLE[60:]]]]], indirect=True)
def test_an_answer_may_arrive_in_pieces(served: ScriptedServer) -> None:
    seen: list[Answer] = []

    Drive(served.address, [asked(seen, 1)]).run()

    assert seen == [(200, BODY)]


@pytest.mark.parametrize("served", [[[[LAST]], [[WHOLE]]]], indirect=True)
def test_a_connection_closed_by_the_server_is_reopened(served: ScriptedServer) -> None:
    seen: list[Answer] = []

    Drive(served.address, [asked(seen, 2)]).run()

    assert seen == [(200, b"a"), (200, BODY)]
    assert [request.split()[1] for request in served.requests] == [b"/0", b"/1"]


@pytest.mark.parametrize("served", [[[[]], [[WHOLE]]]], indirect=True)
def test_a_request_lost_on_a_closing_connection_is_sent_again(served: ScriptedServer) -> None:
    seen: list[Answer] = []

    Drive(served.address, [asked(seen, 1)]).run()

    assert seen == [(200, BODY)]
    assert [request.split()[1] for request in served.requests] == [b"/0", b"/0"]


@pytest.mark.parametrize("served", [[[[WHOLE]]]], indirect=True)
def test_a_waiting_script_resumes_at_its_time(served: ScriptedServer) -> None:
    moments = []

    def late() -> Script:
        moment = time.perf_counter() + 0.05
        yield moment
        moments.append(time.perf_counter() - moment)
        yield http("GET", "/")

    Drive(served.address, [late()]).run()

    assert 0 <= moments[0] < 1
