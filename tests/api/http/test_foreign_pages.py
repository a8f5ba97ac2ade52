"""Requests of pages of other web sites, and requests for a name that is none of the gateway's, are refused."""

import timeit
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.http.foreign_pages import ForeignPages
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import submitted

CONFIGURED = frozenset({"api", "Models.example.com", "10.1.2.3"})
BROWSER_LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def named(gateway: Gateway) -> FlaskClient:
    """A gateway with configured names."""
    return gateway.app(hosts=CONFIGURED).test_client()


def code(answer: TestResponse) -> tuple[int, str | None]:
    return answer.status_code, answer.json.get("code") if answer.is_json else None


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8000", "LOCALHOST:8000", "localhost.:8000", "127.0.0.1", "127.0.0.1:31234"),
        *("127.1.2.3:8000", "[::1]", "[::1]:8000", "api:8000", "api", "models.example.com", "MODELS.example.com:443"),
        *("10.1.2.3:8000", ""),
    ],
)
def test_a_request_for_a_name_of_the_gateway_is_answered(named: FlaskClient, host: str) -> None:
    assert named.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "api.evil.example", "xapi", "example.com"),
        *("10.1.2.4:8000", "0.0.0.0:8000", "[::2]:8000", "localhost:8000@evil.example", "localhost,evil.example"),
        *("127.0.0.1.evil.example", "local host", "localhost:port", "[::1", "]", "x" * 5000),
    ],
)
def test_a_request_for_another_name_is_refused_and_does_nothing(
    gateway: Gateway, named: FlaskClient, host: str
) -> None:
    headers = {"Host": host}

    answers = [
        named.get("/v1/models", headers=headers),
        named.post(PREDICTIONS, json={"inputs": [ROW]}, headers=headers),
    ]

    assert [code(answer) for answer in answers] == [(421, "unknown_host")] * 2
    assert gateway.recorded() == []


def test_the_refusal_of_a_name_is_a_problem_that_names_the_setting(http: FlaskClient) -> None:
    answer = http.get("/v1/models", headers={"Host": "evil.example", "X-Request-ID": "r1"})

    assert answer.mimetype == "application/problem+json"
    assert (answer.json["title"], answer.json["instance"]) == ("Misdirected Request", "/v1/models")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == "r1"
    assert "QUEUECAST_API_HOSTS" in answer.json["detail"]


def test_a_configured_name_is_no_name_of_another_gateway(http: FlaskClient) -> None:
    assert code(http.get("/v1/models", headers={"Host": "api:8000"})) == (421, "unknown_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:5555"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "http://api.evil.example"},
        {"Origin": "http://localhost:8000/", "Host": "localhost:8000"},
        {"Origin": "chrome-extension://localhost"},
        {"Origin": "http://models.example.com:9999", "Host": "models.example.com:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_page_of_another_origin_is_refused_whatever_it_asks_for(
    gateway: Gateway, named: FlaskClient, headers: dict[str, str]
) -> None:
    job_id = submitted(named)
    reads = [
        named.get(path, headers=headers) for path in ("/v1/models", f"/v1/jobs/{job_id}", "/livez", "/openapi.json")
    ]
    writes = [
        named.post(path, headers=headers)
        for path in (
            "/v1/models/titanic/rollback",
            f"/v1/jobs/{job_id}/cancel",
            f"/v1/jobs/{job_id}/retry",
            f"/v1/dead-letters/{job_id}/replay",
            "/v1/models/titanic/versions",
            PREDICTIONS,
        )
    ]
    preflight = named.options("/v1/models/titanic/rollback", headers=headers)

    assert {code(answer) for answer in (*reads, *writes, preflight)} == {(403, "foreign_page")}
    assert (gateway.recorded(), gateway.jobs.read(job_id).revision) == ([job_id], 1)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:8000", "Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"},
        {"Host": "api:8000", "Origin": "https://models.example.com", "Sec-Fetch-Site": "same-origin"},
        {"Host": "api:8000", "Origin": "https://models.example.com"},
        {"Host": "models.example.com", "Origin": "https://models.example.com:8443", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=lambda headers: " ".join(headers.values()) or "a program",
)
def test_programs_and_the_gateways_own_page_are_answered(named: FlaskClient, headers: dict[str, str]) -> None:
    answers = [
        named.get("/v1/models", headers=headers),
        named.post(PREDICTIONS, json={"inputs": [ROW]}, headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [200, 202]


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/docs", {}, 200),
        ("/docs", {"Sec-Fetch-Dest": "iframe"}, 403),
        ("/docs", {"Sec-Fetch-Mode": "no-cors"}, 403),
        ("/docs", {"Origin": "http://evil.example"}, 403),
        ("/docs", {"Host": "evil.example"}, 421),
        ("/v1/models", {}, 403),
        ("/openapi.json", {}, 403),
    ],
)
def test_only_a_link_to_the_page_of_the_api_may_be_followed_from_a_foreign_page(
    http: FlaskClient, path: str, more: dict[str, str], status: int
) -> None:
    assert http.get(path, headers=BROWSER_LINK | more).status_code == status


def test_the_comparison_costs_a_few_microseconds() -> None:
    guarded = ForeignPages(CONFIGURED, lambda environ, start_response: [])
    environ: dict[str, Any] = {"HTTP_HOST": "api:8000", "HTTP_ORIGIN": "http://api:8000"}

    seconds = min(timeit.repeat(lambda: guarded(environ, None), number=1000, repeat=5)) / 1000

    assert seconds < 20e-6  # 1 us on an idle machine


def test_callers_cannot_fill_the_memory_with_the_values_of_headers() -> None:
    guarded = ForeignPages((), lambda environ, start_response: [])
    for number in range(1000):
        guarded({"HTTP_HOST": f"{number}.example", "PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: None)

    assert guarded._error.cache_info().currsize <= 256
