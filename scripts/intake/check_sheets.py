"""Write the checked sheets as tables: subjects, infusions, samples, events, without dates."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Read the sheets of the trial folder; exit status 2 when they have problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the configuration as JSON")
    parser.add_argument("--folder", type=Path, default=Path(), help="trial folder")
    parser.add_argument(
        "--results",
        type=Path,
        nargs="*",
        default=[],
        help="tables of read_laboratory_table; needed when the subjects are those of the tables",
    )
    parser.add_argument("--subjects", type=Path, required=True, help="output")
    parser.add_argument("--infusions", type=Path, required=True, help="output")
    parser.add_argument("--samples", type=Path, required=True, help="output")
    parser.add_argument("--events", type=Path, required=True, help="output; empty without an events sheet")
    parser.add_argument(
        "--observations", type=Path, help="output, when wanted; empty without an observations sheet"
    )
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.intake.results import RESULTS
    from cartrace.intake.sheet_tables import sheet_tables, strangers, unknown_subjects
    from cartrace.intake.sheets import read_sheets
    from cartrace.problems import InputError, raise_if_any
    from cartrace.safety.tables import OBSERVATIONS
    from cartrace.tables import EVENTS, INFUSIONS, SAMPLES, SUBJECTS, read_table, write_table

    try:
        config = configuration.load(json.loads(args.settings))
        sheets, problems = read_sheets(args.folder, config, with_files=False)
        raise_if_any(problems)
        found = {str(s) for path in args.results for s in read_table(path, RESULTS)["subject_id"].dropna()}
        tables = sheet_tables(sheets, config, found)
        observed = {o.subject_id for o in sheets.observations}
        raise_if_any(
            strangers(tables, config.sheets.events or "events")
            + unknown_subjects(observed, tables, config.sheets.observations or "observations")
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    write_table(tables.subjects, args.subjects, SUBJECTS)
    write_table(tables.infusions, args.infusions, INFUSIONS)
    write_table(tables.samples, args.samples, SAMPLES)
    write_table(tables.events, args.events, EVENTS)
    if args.observations is not None:
        write_table(tables.observations, args.observations, OBSERVATIONS)
    print(
        f"{len(tables.subjects)} subjects, {len(tables.infusions)} infusions, "
        f"{len(tables.samples)} samples, {len(tables.events)} events"
        + (f", {len(tables.observations)} observations" if args.observations is not None else "")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
