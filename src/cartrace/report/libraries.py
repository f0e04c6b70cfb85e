"""What the pages of single-cell libraries show."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cartrace.cells import tables as cells
from cartrace.tables import empty

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class CellTables:
    """The tables of the cells stage; each keeps the contract of ``cartrace.cells.tables`` and may be empty."""

    libraries: pd.DataFrame = field(default_factory=partial(empty, cells.LIBRARIES))
    composition: pd.DataFrame = field(default_factory=partial(empty, cells.COMPOSITION))
    fractions: pd.DataFrame = field(default_factory=partial(empty, cells.CAR_FRACTIONS))
    car_reads: pd.DataFrame = field(default_factory=partial(empty, cells.CAR_READS))
    coverage: pd.DataFrame = field(default_factory=partial(empty, cells.COVERAGE))
    variants: pd.DataFrame = field(default_factory=partial(empty, cells.VARIANTS))
    regions: pd.DataFrame = field(default_factory=partial(empty, cells.REGIONS))
    domains: pd.DataFrame = field(default_factory=partial(empty, cells.DOMAINS))
    embedding: pd.DataFrame = field(default_factory=partial(empty, cells.EMBEDDING))
    obs: pd.DataFrame = field(default_factory=partial(empty, cells.OBS))
    expression: pd.DataFrame = field(default_factory=partial(empty, cells.EXPRESSION))

    @property
    def listed(self) -> list[str]:
        """library_id of every library, in the order of the sheet."""
        return [str(name) for name in self.libraries["library"]]
