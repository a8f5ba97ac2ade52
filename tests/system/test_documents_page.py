"""`/docs` in a real browser: the page renders the API without a request to any other host."""

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.browser, pytest.mark.xdist_group("stack")]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def test_the_api_documents_render_offline(stack: Stack, chromium: str, tmp_path: Path) -> None:
    requested, errors = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))

        page.goto(f"{stack.url}/docs")
        page.wait_for_selector(".opblock")
        operations = page.locator(".opblock").count()
        page.screenshot(path=tmp_path / "docs.png")
        browser.close()

    assert operations >= 20
    assert errors == []
    assert [url for url in requested if not url.startswith((stack.url, "data:", "blob:"))] == []
