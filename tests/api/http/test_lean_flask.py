"""The Flask that leaves things out answers as the whole one does."""

from http import HTTPStatus

import pytest
from flask import Flask, current_app, g, request

from api.http.lean_flask import MOST_MATCHES, LeanFlask


@pytest.fixture(params=[LeanFlask, Flask])
def app(request: pytest.FixtureRequest) -> Flask:
    made: Flask = request.param("app")

    @made.get("/models/<model>/<int:version>")
    def version(model: str, version: int) -> dict[str, object]:
        return told(model=model, version=version)

    @made.route("/models/<model>", methods=["POST", "PUT"])
    def model(model: str) -> dict[str, object]:
        return told(model=model)

    def told(**values: object) -> dict[str, object]:
        g.setdefault("seen", []).append(values)
        return values | {"app": current_app.name, "path": request_path(), "seen": len(g.seen)}

    return made


def request_path() -> str:
    return f"{request.method} {request.path} {request.view_args}"


ASKED = [
    ("GET", "/models/a/1"),
    ("GET", "/models/b/1"),
    ("GET", "/models/a/2"),
    ("POST", "/models/a"),
    ("PUT", "/models/a"),
    ("GET", "/models/a"),
    ("DELETE", "/models/a/1"),
    ("GET", "/models/a/x"),
    ("OPTIONS", "/models/a"),
    ("HEAD", "/models/a/1"),
]


def test_a_path_leads_to_the_same_the_second_time(app: Flask) -> None:
    http = app.test_client()

    first, again = [
        [(answer.status_code, answer.data, answer.headers.get("Allow")) for answer in answers]
        for answers in ([http.open(path, method=method) for method, path in ASKED] for _ in range(2))
    ]

    assert again == first
    assert [status for status, _, _ in first] == [200, 200, 200, 200, 200, 405, 405, 404, 200, 200]


def test_nothing_of_a_request_is_left_for_the_next(app: Flask) -> None:
    http = app.test_client()

    assert [http.get("/models/a/1").json["seen"] for _ in range(3)] == [1, 1, 1]


def test_whoever_asks_for_ever_more_paths_fills_no_memory() -> None:
    app = LeanFlask("app")
    app.add_url_rule("/<name>", view_func=lambda name: name)
    http = app.test_client()

    answers = [http.get(f"/{number}") for number in range(MOST_MATCHES + 50)]

    assert [answer.text for answer in answers] == [str(number) for number in range(MOST_MATCHES + 50)]
    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}
    assert len(app.matches) == MOST_MATCHES
