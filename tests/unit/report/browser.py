"""Chromium, for the tests that look at a page: what it draws, and what its console says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>alert(1)</script><b>x</b>%{y}"


def opened(path: Path, route: str, profile: Path, width: int = 1200) -> tuple[str, list[str]]:
    """Open a page and give its document after the scripts ran, and what the console said."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--window-size={width},1600",
            "--virtual-time-budget=8000",
            "--dump-dom",
            f"{path.as_uri()}{route}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def figures_drawn(document: str) -> int:
    return document.count('class="plot js-plotly-plot"')


def frame_width(report: Path, route: str, folder: Path) -> tuple[int, list[str]]:
    """Return how wide a page is in a frame of 360 pixels, and what the console said.

    Headless windows have a least width, so the page is opened in a frame.
    """
    html = re.sub(r"<meta http-equiv=.*?>", "", report.read_text(encoding="utf-8"), count=1)
    say = "<script>setTimeout(() => parent.postMessage(document.documentElement.scrollWidth, '*'), 1500)</script>"
    (folder / "inner.html").write_text(html.replace("</body>", say + "</body>"), encoding="utf-8")
    outer = folder / "outer.html"
    outer.write_text(
        f"""<body><script>onmessage = (e) => {{ document.body.dataset.said = e.data; }}</script>
        <iframe src="inner.html{route}" style="width:360px;height:900px;border:0"></iframe></body>""",
        encoding="utf-8",
    )
    document, console = opened(outer, "", folder / "profile")
    said = re.search(r'data-said="(\d+)"', document)
    assert said is not None
    return int(said[1]), console
