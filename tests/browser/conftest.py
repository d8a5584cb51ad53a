"""What does a browser test get? One Chromium a worker, a fresh page a test, and failure on anything a person would not see.

A page fails its test on a script error, on an answer of 400 and above that the test did not announce, and on any request
that leaves the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from config.services import make_staff
from tests.conftest import BROWSER
from tests.payments.admin.payment_scenes import set_credentials

SHOTS = os.environ.get("SCREENSHOTS")  # a folder: every `shot` is kept there


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window, for all browser tests of this worker."""
    # Playwright keeps an event loop in this thread, for which Django would refuse the ORM as long as it runs.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=30_000)  # what comes at once on a quick machine; a busy one may take its time
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=["--disable-dev-shm-usage", "--disable-gpu"])
        yield started
        started.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Window:
    """One page of a browser, on the server under test."""

    page: Page
    base: str
    elsewhere: tuple[str, ...] = ()
    """Addresses of other servers of the test, such as a simulated bank."""
    expected: set[int] = field(default_factory=set)
    """Statuses of 400 and above that this test provokes on purpose."""
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Collect what a person would not see."""
        self.page.on("pageerror", lambda error: self.wrong.append(f"script error: {error}"))
        self.page.on("request", lambda request: self._judge_address(request.url))
        self.page.on("response", self._judge_status)

    def _judge_address(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:", *self.elsewhere)):
            self.wrong.append(f"left the machine: {url}")

    def _judge_status(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.wrong.append(f"{response.status} from {response.url}")

    def open(self, path: str) -> None:
        """Go to an address below the server."""
        self.page.goto(self.base + path)

    def sign_in(self, role: str, name: str = "") -> None:
        """As a person of the role, called like it unless a name is given, through the form."""
        name = name or role
        make_staff(name, role, "pw")
        self.open("/admin/login/?next=/admin/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", "pw")
        self.page.press("[name=password]", "Enter")
        self.page.wait_for_url(f"{self.base}/admin/")

    def press(self, label: str) -> None:
        """The button or link of exactly this name inside the page's own part."""
        inside = self.page.locator(".cf-page")
        inside.get_by_role("button", name=label, exact=True).or_(
            inside.get_by_role("link", name=label, exact=True)
        ).first.click()

    def says(self, text: str) -> None:
        """Wait until the page says it. Raises: TimeoutError after thirty seconds."""
        self.page.locator("body").get_by_text(text).first.wait_for(timeout=30_000)

    def shot(self, name: str) -> None:
        """Keep a picture where SCREENSHOTS says."""
        if SHOTS:
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest.fixture
def windows(
    browser: Browser, live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Window]]:
    """Opens windows on a live server, each with cookies of its own: one a person. The test fails if anything went wrong in one."""
    settings.DEMO = True
    set_credentials(monkeypatch)
    opened: list[Window] = []

    def open_window() -> Window:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        opened.append(Window(page, live_server.url))
        opened[-1].watch()
        return opened[-1]

    yield open_window
    for one in opened:
        one.page.context.close()
    assert [wrong for one in opened for wrong in one.wrong] == []


@pytest.fixture
def window(windows: Callable[[], Window]) -> Window:
    """A fresh page on a live server, of one person."""
    return windows()
