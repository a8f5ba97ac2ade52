"""MinimalFlask answers as Flask does, and holds on to no private part of it."""

import ast
import inspect
from http import HTTPStatus

import pytest
from flask import Flask, current_app, g, request
from werkzeug.routing import MapAdapter

from api.http import minimal_flask, remembered_matches
from api.http.minimal_flask import MinimalFlask

REQUESTS = [
    ("GET", "/models/a/1", 200),
    ("GET", "/models/b/1", 200),
    ("GET", "/models/a/2", 200),
    ("POST", "/models/a", 200),
    ("PUT", "/models/a", 200),
    ("GET", "/models/a", 405),
    ("DELETE", "/models/a/1", 405),
    ("GET", "/models/a/x", 404),
    ("OPTIONS", "/models/a", 200),
    ("HEAD", "/models/a/1", 200),
    ("GET", "/jobs/job_1", 200),
    ("GET", "/jobs/job_2", 200),
    ("GET", "/jobs/other", 200),
    ("GET", "/jobs/job_1/result", 200),
    ("GET", "/jobs/job_/result", 200),
    ("GET", "/jobs/job_1/job_2", 404),
    ("POST", "/jobs/job_1", 405),
    ("POST", "/models/job_1", 200),
    ("POST", "/models/job_2", 200),
    ("GET", "/models/job_1/1", 200),
    ("GET", "/models/job_2/1", 200),
]


@pytest.fixture(params=[MinimalFlask, Flask])
def app(request: pytest.FixtureRequest) -> Flask:
    return with_routes(request.param("app"))


def with_routes(created: Flask) -> Flask:

    @created.get("/models/<model>/<int:version>")
    def version(model: str, version: int) -> dict[str, object]:
        return seen(model=model, version=version)

    @created.route("/models/<model>", methods=["POST", "PUT"])
    def model(model: str) -> dict[str, object]:
        return seen(model=model)

    @created.get("/jobs/<job_id>")
    def job(job_id: str) -> dict[str, object]:
        return seen(job=job_id)

    @created.get("/jobs/<job_id>/result")
    def result(job_id: str) -> dict[str, object]:
        return seen(result=job_id)

    def seen(**values: object) -> dict[str, object]:
        g.setdefault("seen", []).append(values)
        path = f"{current_app.name} {request_path()}"
        return values | {"path": path, "seen": len(g.seen)}

    return created


def request_path() -> str:
    return f"{request.method} {request.path} {request.view_args}"


def test_a_repeated_request_gets_the_same_answer(app: Flask) -> None:
    http = app.test_client()

    first, again = [
        [(answer.status_code, answer.data, answer.headers.get("Allow")) for answer in answers]
        for answers in ([http.open(path, method=method) for method, path, _ in REQUESTS] for _ in range(2))
    ]

    assert again == first
    assert [status for status, _, _ in first] == [status for _, _, status in REQUESTS]


def test_every_request_gets_the_answer_of_stock_flask() -> None:
    clients = [with_routes(kind("app")).test_client() for kind in (Flask, MinimalFlask)]

    stock, minimal = (
        [(answer.status_code, answer.data) for answer in answers]
        for answers in ([http.open(path, method=method) for method, path, _ in 2 * REQUESTS] for http in clients)
    )

    assert minimal == stock


def test_a_request_leaves_nothing_to_the_next(app: Flask) -> None:
    http = app.test_client()

    assert [http.get("/models/a/1").json["seen"] for _ in range(3)] == [1, 1, 1]


def test_every_path_of_many_is_answered(app: Flask) -> None:
    app.add_url_rule("/<name>", view_func=lambda name: name)
    http = app.test_client()

    answers = [http.get(f"/{number}") for number in range(300)]

    assert [answer.text for answer in answers] == [str(number) for number in range(300)]
    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}


def test_the_teardown_is_called_once_after_a_view_and_after_an_error(app: Flask) -> None:
    ended = []
    app.teardown_request(lambda error: ended.append(request.path))
    app.register_error_handler(ZeroDivisionError, lambda error: ("no", 500))
    app.add_url_rule("/fails", view_func=lambda: str(1 // 0))
    http = app.test_client()

    statuses = [http.get(path).status_code for path in ("/models/a/1", "/fails", "/nothing")]

    assert statuses == [200, 500, 404]
    assert ended == ["/models/a/1", "/fails", "/nothing"]


def test_a_context_that_flask_passes_to_the_dispatch_is_passed_on() -> None:
    """Flask 3.2 does, to both methods that are called."""

    class Dispatch(MinimalFlask):
        def dispatch_request(self, *ctx: object) -> str:  # type: ignore[override]
            received.append(ctx)
            raise ZeroDivisionError

        def handle_user_exception(self, *ctx_and_error: object) -> str:  # type: ignore[override]
            received.append(ctx_and_error[:-1])
            return "handled"

    received: list[tuple[object, ...]] = []
    app, context = Dispatch("app"), object()
    with app.test_request_context("/"):
        answer = app.full_dispatch_request(context)  # type: ignore[arg-type]

    assert (answer.data, received) == (b"handled", [(context,), (context,)])


def test_only_public_names_of_flask_and_werkzeug_are_used() -> None:
    tree = ast.parse(inspect.getsource(minimal_flask))
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    assert "RequestContext" not in imported
    assert [name for name in (*imported, *attributes) if name.startswith("_") and name != "__init__"] == []
    adapter = ast.parse(inspect.getsource(remembered_matches))
    overridden = {node.name for node in ast.walk(adapter) if isinstance(node, ast.FunctionDef)}
    assert {name for name in overridden if hasattr(MapAdapter, name)} == {"__init__", "match"}
    assert {name for name in methods - {"__init__"} if hasattr(Flask, name)} == {
        "full_dispatch_request",
        "do_teardown_request",
        "do_teardown_appcontext",
        "ensure_sync",
        "create_url_adapter",
    }
