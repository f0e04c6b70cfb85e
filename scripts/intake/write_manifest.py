"""Remember the content hash of each laboratory file, so that a dry-run need not read them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Check the trial folder and write results/intake/manifest.json; exit status 2 on problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="trial folder")
    parser.add_argument("--config", default="config.yaml", help="configuration, relative to it")
    args = parser.parse_args(argv)

    import yaml

    from cartrace.intake.plan import load_plan, write_manifest
    from cartrace.problems import InputError

    try:
        raw = yaml.safe_load((args.folder / args.config).read_text("utf-8")) or {}
        plan = load_plan(raw, args.folder, args.config)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    path = write_manifest(plan, args.folder)
    print(f"{path}: {len(plan.files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
