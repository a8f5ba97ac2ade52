"""The reports of a real training and a real evaluation: over HTTP, by the command, and as pages in a real browser."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from queuecast import Client, JobHandle
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def trained(stack: Stack, repository: Path) -> JobHandle:
    table, params = repository / "examples/titanic/titanic.csv", {"model__C": 0.1}
    return Client(stack.url).train("titanic", table, target="survived", promote="never", params=params).wait(120)


@pytest.fixture(scope="module")
def scored(stack: Stack, repository: Path, trained: JobHandle) -> JobHandle:
    """An evaluation of the champion and of the version that was trained."""
    table, versions = repository / "examples/titanic/titanic.csv", ["champion", trained.body["result"]["version"]]
    return Client(stack.url).score("titanic", table, "survived", versions=versions).wait(120)


@pytest.fixture(params=["trained", "scored"])
def reported(request: pytest.FixtureRequest) -> JobHandle:
    found: JobHandle = request.getfixturevalue(request.param)
    return found


def test_the_report_of_an_evaluation_has_its_scores_and_curves(stack: Stack, scored: JobHandle) -> None:
    document = httpx2.get(stack.url + scored.body["urls"]["report"]).raise_for_status().json()

    result, (target,) = scored.body["result"], document["facts"]["targets"]
    assert document == scored.report()
    assert (document["headline"], document["versions"]) == (result["headline"], result["versions"])
    for version, facts in zip(result["versions"], target["versions"], strict=True):
        area = next(each for each in version["scores"] if each["metric"] == "roc_auc")["score"]["value"]
        assert facts["role"] == f"version {version['version']}"
        assert facts["curves"][0]["roc"]["area"] == pytest.approx(area)


def test_the_report_is_linked_from_the_job(stack: Stack, trained: JobHandle) -> None:
    url = stack.url + trained.body["urls"]["report"]

    document = httpx2.get(url).raise_for_status().json()

    version = trained.body["result"]["version"]
    assert document == trained.report()
    assert document["headline"].startswith(f"Version {version} ")
    assert [each["role"] for each in document["facts"]["targets"][0]["versions"]] == ["champion", "challenger"]
    assert document["evaluation"]["decision"]["verdict"] == trained.body["result"]["verdict"]
    assert document["facts"]["importance"]["columns"]


def test_the_command_prints_the_verdict_and_writes_the_page(stack: Stack, trained: JobHandle, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "queuecast.cli", "report", trained.id]

    shown = subprocess.run([*command, "-o", str(page)], env=stack.environ(), capture_output=True, text=True, check=True)
    printed = subprocess.run([*command, "--json"], env=stack.environ(), capture_output=True, text=True, check=True)

    assert shown.stdout.startswith(trained.report()["headline"])
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(printed.stdout) == trained.report()


def test_the_command_prints_the_scores_of_an_evaluation(stack: Stack, scored: JobHandle) -> None:
    command = [sys.executable, "-m", "queuecast.cli", "report", scored.id]

    shown = subprocess.run(command, env=stack.environ(), capture_output=True, text=True, check=True)

    assert shown.stdout.splitlines()[-1] == scored.report()["headline"]
    assert "1 (champion)" in shown.stdout


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 390])
def test_a_saved_page_fits_the_window_and_loads_nothing(
    reported: JobHandle, chromium: str, tmp_path: Path, width: int
) -> None:
    path = reported.save_report(tmp_path / "report.html")
    requested, messages = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": 900}, java_script_enabled=False)
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: messages.append(message.text))

        page.goto(path.as_uri())
        shown = page.locator("h1").inner_text()
        drawings = page.locator("svg").count()
        page.screenshot(path=tmp_path / "report.png", full_page=True)
        boxes = [each.bounding_box() for each in page.locator("svg, table, figure").all()]
        browser.close()

    assert shown == reported.report()["headline"]
    assert drawings > 10
    assert max(box["x"] + box["width"] for box in boxes if box is not None) <= width
    assert messages == []
    assert [url for url in requested if not url.startswith("data:")] == [path.as_uri()]


@pytest.mark.browser
def test_the_gateways_page_obeys_its_policy(stack: Stack, reported: JobHandle, chromium: str) -> None:
    requested, messages = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: messages.append(message.text))

        answer = page.goto(stack.url + reported.body["urls"]["report"])
        radius = page.locator("figure").first.evaluate("each => getComputedStyle(each).borderRadius")
        browser.close()

    assert answer is not None
    assert "text/html" in answer.headers["content-type"]
    assert radius == "8px"  # the policy has the hash of the styles, so they apply
    assert messages == []
    assert [url for url in requested if not url.startswith("data:")] == [stack.url + reported.body["urls"]["report"]]


@pytest.mark.browser
def test_the_picture_of_the_docs_can_be_taken(trained: JobHandle, chromium: str, tmp_path: Path) -> None:
    """`make picture` takes it into docs/report.png."""
    picture = Path(os.environ.get("QUEUECAST_REPORT_PICTURE", tmp_path / "report.png"))
    path = trained.save_report(tmp_path / "report.html")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
        page.goto(path.as_uri())
        page.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": 1400, "height": 1640})
        browser.close()

    size = picture.read_bytes()[16:24]
    assert struct.unpack(">II", size) == (1400, 1640)
