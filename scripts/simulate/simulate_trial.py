"""Write a simulated trial with known truth as a trial folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate and write; exit status 2 when the folder may not be overwritten."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="trial folder to write")
    parser.add_argument("--seed", type=int, default=2024, help="the same seed gives the same bytes")
    parser.add_argument("--subjects", type=int, default=12, help="number of subjects")
    parser.add_argument("--without-errors", action="store_true", help="plant no laboratory errors")
    parser.add_argument(
        "--without-plates", action="store_true", help="all qPCR as tables, no raw exports of instruments"
    )
    parser.add_argument("--without-tubes", action="store_true", help="no FCS files of flow cytometry")
    parser.add_argument(
        "--without-bedside", action="store_true", help="no observations, blood counts and scores"
    )
    parser.add_argument(
        "--without-immunoassays",
        action="store_true",
        help="soluble BCMA and antibodies as tables, no files of plate readers, no cytokines",
    )
    parser.add_argument(
        "--without-libraries", action="store_true", help="no single-cell libraries and integration sites"
    )
    args = parser.parse_args(argv)

    from cartrace.problems import InputError
    from cartrace.simulate.trial import simulate_trial
    from cartrace.simulate.write import write_trial

    try:
        trial = simulate_trial(
            args.seed,
            args.subjects,
            plant_errors=not args.without_errors,
            plates=not args.without_plates,
            tubes=not args.without_tubes,
            bedside=not args.without_bedside,
            immunoassays=not args.without_immunoassays,
            libraries=not args.without_libraries,
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        changed = write_trial(trial, args.output)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if not changed:
        print(f"{args.output} already holds this trial; left as it is")
        return 0
    planted = sum(len(frame) for name, frame in trial.truth.items() if name.startswith("planted_"))
    print(
        f"{args.output}: {trial.n_subjects} simulated subjects (seed {trial.seed}), "
        f"{len(trial.tables)} laboratory tables with {len(trial.truth['samples'])} results, "
        f"{len(trial.plates.files)} PCR plates, {len(trial.tubes.files)} flow tubes, "
        f"{len(trial.immunoassays.files)} immunoassay plates, "
        f"{len(trial.libraries.libraries)} single-cell libraries, "
        f"{len(trial.sites.sets)} sets of integration sites, {planted} planted errors; "
        f"the truth is in {args.output / 'truth'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
