"""Fit one exponential decay with random effects to each antibody over all subjects."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, tables
from cartrace.antibody.population import fit_decay

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Read the measurements table, write the models table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True, help="measurements table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'antibody' is used")
    parser.add_argument("--output", type=Path, required=True, help="models table to write (Parquet)")
    arguments = parser.parse_args(argv)

    models = fit_decay(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        config.load(json.loads(arguments.settings), "--settings").antibody,
    )
    tables.write_table(models, arguments.output, tables.MODELS)
    fitted = models.loc[models["parameter"] == "decay_rate", "status"]
    print(f"{len(fitted)} antibodies, {int((fitted == 'estimated').sum())} with a decay over all subjects")


if __name__ == "__main__":
    main()
