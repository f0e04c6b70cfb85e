"""Chromium, for the tests that look at a page: what it draws, and what its console says.

One Chromium serves all tests of a process, since its start costs more than a page. It is told
what to do over its debugging pipe (Chrome DevTools Protocol: JSON messages, each ended by a zero
byte); every page has a context of its own, so that nothing passes from one to the next.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>alert(1)</script><b>x</b>%{y}"
SECONDS = 120
"""Longest wait for one answer."""
BUDGET_MS = 8000
"""Time that a page believes to have; it passes as fast as the machine can."""

_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium takes its orders from file descriptor 3 and answers into 4."""


class Chromium:
    """A headless browser without a network."""

    def __init__(self) -> None:
        assert BROWSER is not None
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        arguments = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={self.profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--remote-debugging-pipe",
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(orders), str(answers), BROWSER, *arguments],
            pass_fds=(orders, answers),
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile},
        )
        os.close(orders)
        os.close(answers)
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        self.page: Page | None = None

    def close(self) -> None:
        """End the browser and forget its profile."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send one order and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        text = json.dumps(message | ({"sessionId": session} if session else {}))
        data = text.encode() + b"\0"
        while data:
            data = data[os.write(self._orders, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def wait_for(self, method: str, session: str) -> None:
        """Read until an event has come."""
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self._read())

    def new_page(self, path: Path) -> Page:
        """Open an empty page for a file, in place of the one that is open."""
        self.leave()
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable", session)
        self.page = Page(path, path.stat().st_mtime_ns, context, session)
        return self.page

    def leave(self) -> None:
        """Close the page that is open."""
        if self.page is not None:
            self.ask("Target.disposeBrowserContext", browserContextId=self.page.context)
            self.page = None

    def let_run(self, session: str) -> None:
        """Let the time of a page pass, once nothing is loading any more."""
        budget = {"budget": BUDGET_MS, "maxVirtualTimeTaskStarvationCount": 9999}
        policy = "pauseIfNetworkFetchesPending"
        self.ask("Emulation.setVirtualTimePolicy", session, policy=policy, **budget)
        self.wait_for("Emulation.virtualTimeBudgetExpired", session)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], SECONDS)
            more = os.read(self._answers, 1 << 20) if ready else b""
            assert more, "Chromium ended, or does not answer"
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))


@cache
def chromium() -> Chromium:
    """Return the browser of this process."""
    browser = Chromium()
    atexit.register(browser.close)
    return browser


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is open in a context of its own."""

    path: Path
    written: int
    context: str
    session: str


def visited(
    path: Path, route: str, width: int = 1200, *, lines: str = "", height: int = 1600, fresh: bool = False
) -> tuple[str, list[str], str]:
    """Open a page, or go on in it; let its scripts, and then a few lines of ours, run.

    Parameters
    ----------
    path
        HTML file. It is loaded when it is not the one that is open; otherwise only the
        route changes, as for a reader who follows a link.
    route
        Part of the address behind the file, with its #.
    width, height
        Window in pixels.
    lines
        JavaScript that ends with a call of ``done(text)``.
    fresh
        Load the page anew: for what a choice on an earlier page would change.

    Returns
    -------
    tuple
        The document after all scripts ran; what the console said; the text of ``done``.
    """
    browser = chromium()
    page = browser.page
    known = not fresh and page is not None and (page.path, page.written) == (path, path.stat().st_mtime_ns)
    if page is None or not known:
        page = browser.new_page(path)
    browser.events.clear()
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", page.session, **size)
    browser.ask("Emulation.setVirtualTimePolicy", page.session, policy="pause")
    if known:
        at = json.dumps(route)
        go = f"location.hash === {at} ? dispatchEvent(new Event('hashchange')) : (location.hash = {at})"
        browser.ask("Runtime.evaluate", page.session, expression=go)
    else:
        browser.ask("Page.navigate", page.session, url=path.as_uri() + route)
    browser.let_run(page.session)
    said = ""
    if lines:
        # Beside the page's own scripts: its policy refuses any other in its document.
        browser.ask("Emulation.setVirtualTimePolicy", page.session, policy="advance")
        expression = f"new Promise((done) => {{ {lines} }})"
        found = browser.ask("Runtime.evaluate", page.session, expression=expression, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        said = str(found["result"].get("value", ""))
        # Or its time runs on as fast as the machine can, beside all later tests.
        browser.ask("Emulation.setVirtualTimePolicy", page.session, policy="pause")
    whole = browser.ask("Runtime.evaluate", page.session, expression="document.documentElement.outerHTML")
    kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    console = [json.dumps(e["params"]) for e in browser.events if e.get("method") in kinds]
    if console:
        browser.leave()
    return whole["result"]["value"], console, said


def opened(path: Path, route: str, profile: Path, width: int = 1200) -> tuple[str, list[str]]:
    """Open a page and give its document after the scripts ran, and what the console said."""
    del profile  # every page has a context of its own
    document, console, _ = visited(path, route, width)
    return document, console


def figures_drawn(document: str) -> int:
    return document.count('class="plot js-plotly-plot"')


def frame_width(report: Path, route: str, folder: Path) -> tuple[int, list[str]]:
    """Return how wide a page is in a window of 360 pixels, and what the console said."""
    del folder
    _, console, said = visited(
        report, route, 360, lines="done(document.documentElement.scrollWidth)", height=900
    )
    return int(said), console
