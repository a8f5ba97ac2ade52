"""A page of another origin, in a real browser, tries to use the gateway: nothing goes through."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, sync_playwright

from queuecast import Client
from tests.system.conftest import Stack
from tests.system.test_documents_page import FLAGS

pytestmark = [pytest.mark.redis, pytest.mark.browser, pytest.mark.xdist_group("stack")]
FOREIGN_NAME = "evil.example"
ATTACK = """
async ([gateway, jobId]) => {
  const readable = [];
  const attempt = async (path, options) => {
    for (const mode of ["no-cors", "cors"]) {
      try {
        const answer = await fetch(gateway + path, {mode, ...options});
        if (answer.type !== "opaque") readable.push(path);
      } catch (error) { /* the browser lets the page read nothing */ }
    }
  };
  const form = new FormData();
  form.append("model", new Blob(["PK\\u0003\\u0004"]), "m.skops");
  form.append("example", new Blob(["a\\n1\\n"], {type: "text/csv"}), "e.csv");
  form.append("metadata", "{}");
  const rows = JSON.stringify({inputs: [{}]});
  await attempt("/v1/models/titanic/rollback", {method: "POST"});
  await attempt("/v1/models/foreign/versions", {method: "POST", body: form});
  await attempt("/v1/models/titanic/predictions", {method: "POST", body: rows});
  await attempt("/v1/models/titanic/predictions",
                {method: "POST", body: rows, headers: {"Content-Type": "application/json"}});
  await attempt("/v1/files?name=a.csv", {method: "POST", body: "a\\n1\\n"});
  await attempt(`/v1/jobs/${jobId}/retry`, {method: "POST"});
  await attempt(`/v1/jobs/${jobId}/cancel`, {method: "POST"});
  await attempt(`/v1/jobs/${jobId}`, {method: "DELETE"});
  await attempt("/v1/models/titanic/aliases/champion", {method: "PUT", body: '{"version": 1}'});
  for (const path of ["/v1/models", "/v1/jobs", `/v1/jobs/${jobId}`, `/v1/jobs/${jobId}/result`, "/openapi.json"])
    await attempt(path, {});
  const loads = ["img", "script", "iframe"].map((kind) => new Promise((done) => {
    const element = document.createElement(kind);
    element.onload = element.onerror = done;
    element.src = gateway + "/docs";
    document.body.append(element);
  }));
  await Promise.all(loads);
  return readable;
}
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><body>a page of another origin")

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def foreign_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as play:
        # The name leads to this machine, as after a rebinding.
        flags = [*FLAGS, f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1"]
        started = play.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


def state(client: Client) -> tuple[Any, ...]:
    jobs = sorted((job.id, job.body["revision"]) for job in client.jobs())
    models = [{name: value for name, value in model.items() if name != "workers"} for model in client.models()]
    return models, jobs, client.queues()["limits"]["files"]["used"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", FOREIGN_NAME])
def test_a_page_of_another_origin_can_do_nothing_and_read_nothing(
    stack: Stack, client: Client, browser: Browser, foreign_port: int, host: str
) -> None:
    job = client.predict("titanic", client.schema("titanic")["examples"])
    job.result(30)
    before = state(client)
    statuses: dict[str, set[int]] = {}
    page = browser.new_page()
    page.on("response", lambda answer: statuses.setdefault(answer.url, set()).add(answer.status))
    page.goto(f"http://{host}:{foreign_port}/")

    readable = page.evaluate(ATTACK, [stack.url, job.id])

    page.close()
    answers = {url: found for url, found in statuses.items() if url.startswith(stack.url)}
    assert readable == []
    assert len(answers) >= 10
    assert set.union(*answers.values()) == {403}, answers
    assert state(client) == before


def test_a_form_of_another_origin_that_opens_the_gateway_does_nothing(
    stack: Stack, client: Client, browser: Browser, foreign_port: int
) -> None:
    before = state(client)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{foreign_port}/")

    with page.expect_navigation() as navigation:
        page.evaluate(
            """(action) => {
              const form = document.createElement("form");
              form.method = "POST"; form.action = action;
              document.body.append(form); form.submit();
            }""",
            f"{stack.url}/v1/models/titanic/rollback",
        )

    assert navigation.value.status == 403
    page.close()
    assert state(client) == before


def test_a_name_that_leads_to_the_gateway_opens_nothing(stack: Stack, browser: Browser) -> None:
    page = browser.new_page()

    answer = page.goto(f"http://{FOREIGN_NAME}:{stack.api_port}/v1/models")
    moved = page.evaluate("async () => (await fetch('/v1/models/titanic/rollback', {method: 'POST'})).status")

    assert answer is not None
    assert (answer.status, moved) == (421, 421)
    assert "titanic" not in page.content()
    page.close()


def test_the_page_of_the_api_opens_from_a_link_and_may_use_the_gateway(
    stack: Stack, browser: Browser, foreign_port: int
) -> None:
    page = browser.new_page()
    page.goto(f"http://localhost:{foreign_port}/")

    with page.expect_navigation() as navigation:
        page.evaluate("(url) => { location.href = url }", f"{stack.url}/docs")
    read = page.evaluate("async () => (await fetch('/v1/models')).status")
    moved = page.evaluate("async () => (await fetch('/v1/models/titanic/rollback', {method: 'POST'})).status")

    assert (navigation.value.status, read, moved) == (200, 200, 409)  # the model has had one champion
    page.close()


def test_programs_and_probes_of_old_http_are_answered(stack: Stack) -> None:
    assert httpx2.get(f"{stack.url}/livez").status_code == 200
    assert httpx2.get(f"http://localhost:{stack.api_port}/livez").status_code == 200
    assert httpx2.get(f"{stack.url}/livez", headers={"Host": "gateway.example"}).status_code == 421
