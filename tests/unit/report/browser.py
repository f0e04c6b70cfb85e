"""Chromium, for the tests that look at a page: what it draws, and what its console says."""

from __future__ import annotations

import os
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
