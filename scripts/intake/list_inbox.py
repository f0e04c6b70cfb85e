"""List what the laboratories left in their inboxes: what is used, what is not, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Plan the trial folder anew and write its inbox; exit status 2 on problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="trial folder")
    parser.add_argument("--settings", required=True, help="the whole configuration as JSON text")
    parser.add_argument("--digest", required=True, help="digest of the inbox as it was planned")
    parser.add_argument("--output", type=Path, required=True, help="table of the inbox (Parquet)")
    args = parser.parse_args(argv)

    from cartrace.intake.plan import load_plan
    from cartrace.problems import InputError
    from cartrace.tables import INBOX, rows, write_table

    try:
        inbox = load_plan(json.loads(args.settings), args.folder, "settings").inbox
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if inbox.digest != args.digest:
        print("inbox: changed since the workflow was planned; run it again", file=sys.stderr)
        return 2
    listed = ({name: text or None for name, text in asdict(row).items()} for row in inbox.rows)
    write_table(rows(listed, INBOX), args.output, INBOX)
    print(f"{len(inbox.rows)} rows of the inbox")
    return 0


if __name__ == "__main__":
    sys.exit(main())
