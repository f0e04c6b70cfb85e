"""Write the generated files anew, or say with --check which ones are out of date."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from cartrace.generated import files

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 when a file is out of date"
    )
    arguments = parser.parse_args(argv)
    stale = 0
    for name, content in files().items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == content:
            continue
        stale += 1
        if arguments.check:
            diff = difflib.unified_diff(
                old.splitlines(),
                content.splitlines(),
                f"{name} (committed)",
                f"{name} (from the code)",
                "",
                "",
                1,
            )
            print("\n".join(list(diff)[:40]))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(f"wrote {name}")
    if stale and arguments.check:
        print(f"{stale} generated files are out of date; run `make fix`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
