"""What is true of the clones of simulated libraries: every clone that a sound single cell belongs to, and its cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.simulate.cells_repertoire import CAR_CLONES, PLANTED, SISTERS, Chain, Clone, Repertoire

if TYPE_CHECKING:
    from cartrace.simulate.cells_b_clones import OldClone

FOLD = 10.0
"""Factor between product and peak from which a clone expands, or contracts."""


@dataclass(frozen=True, slots=True)
class LibraryClones:
    """Clones of the sound single cells of one library, all of equal length; ``clones`` has None without a receptor.

    ``t_stage`` is the stage whose shares the T cells were drawn with, ``car_share`` the share of CAR+ among the sound
    T cells, 0 to 1.
    """

    library: str
    subject_id: str
    sample_id: str
    study_day: int
    stage: str
    sort: str
    t_clones: Repertoire
    t_stage: str
    old_b_clones: tuple[OldClone, ...]
    car_share: float
    barcodes: tuple[str, ...]
    clones: tuple[Clone | None, ...]
    c_genes: tuple[str, ...]
    types: tuple[str, ...]
    car: tuple[bool, ...]

    def names(self, receptor: str, *, car: bool = False) -> list[str]:
        """Return the clone of each T or B cell; ``car``: of CAR+ cells alone."""
        return [
            clone.name
            for clone, carries in zip(self.clones, self.car, strict=True)
            if clone is not None and _is(clone, receptor) and (carries or not car)
        ]


def clone_tables(libraries: Sequence[LibraryClones]) -> dict[str, pd.DataFrame]:
    """Return the tables ``clones``, ``clone_samples``, ``b_clones`` and ``b_cells``."""
    return {
        "clones": pd.DataFrame(_t_rows(libraries)),
        "clone_samples": pd.DataFrame([row for library in libraries for row in _sample_rows(library)]),
        "b_clones": pd.DataFrame(_b_rows(libraries)),
        "b_cells": pd.DataFrame([row for library in libraries for row in _b_cell_rows(library)]),
    }


def _is(clone: Clone, receptor: str) -> bool:
    return clone.chains[0].chain == {"T": "TRB", "B": "IGH"}[receptor]


def _genes(chain: Chain | None, prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}v_gene": "" if chain is None else chain.v_gene,
        f"{prefix}j_gene": "" if chain is None else chain.j_gene,
        f"{prefix}cdr3_nt": "" if chain is None else chain.cdr3_nt,
        f"{prefix}cdr3_aa": "" if chain is None else chain.cdr3,
    }


def _by_subject(libraries: Iterable[LibraryClones]) -> dict[str, list[LibraryClones]]:
    out: dict[str, list[LibraryClones]] = defaultdict(list)
    for library in libraries:
        out[library.subject_id].append(library)
    return out


def _t_rows(libraries: Sequence[LibraryClones]) -> list[dict[str, Any]]:
    rows = []
    for subject_id, own in _by_subject(libraries).items():
        repertoire = own[0].t_clones
        cells: dict[str, Counter[str]] = {stage: Counter() for stage in ("product", "before", "peak", "late")}
        for library in own:
            if library.sort == "none":
                cells[library.stage].update(library.names("T"))
        seen = {name for library in own for name in library.names("T")}
        for place, clone in enumerate(repertoire.clones):
            if clone.name not in seen:
                continue
            beta, alpha, *more = clone.chains
            percent = {stage: 100 * float(share[place]) for stage, share in repertoire.shares.items()}
            fold = percent["peak"] / percent["product"]
            rows.append(
                {
                    "subject_id": subject_id,
                    "clone": clone.name,
                    "transduced": place < CAR_CLONES,
                    **_genes(beta),
                    **_genes(alpha, "alpha_"),
                    "second_alpha_cdr3_nt": more[0].cdr3_nt if more else "",
                    **{f"{stage}_percent_of_kind": value for stage, value in percent.items()},
                    "fold_to_peak": fold,
                    "fate": "expands" if fold >= FOLD else "contracts" if fold <= 1 / FOLD else "steady",
                    **{f"{stage}_cells": cells[stage][clone.name] for stage in cells},
                    "planted": place in PLANTED,
                    "persists": cells["product"][clone.name] > 0 and cells["late"][clone.name] > 0,
                }
            )
    return rows


def _sample_rows(library: LibraryClones) -> Iterable[dict[str, Any]]:
    """Yield clone by population; T cells before the infusion are drawn without a CAR, so without its population."""
    populations = {"t_cells": library.names("T"), "car_t_cells": library.names("T", car=True)}
    if library.sort == "car_positive":
        # Sorted: all T cells are taken for CAR+.
        populations = {"car_t_cells": library.names("T")}
    place = {clone.name: i for i, clone in enumerate(library.t_clones.clones)}
    for population, names in (populations | {"b_cells": library.names("B")}).items():
        car_share = 1.0 if population == "car_t_cells" and library.sort == "none" else library.car_share
        for clone, n in sorted(Counter(names).items(), key=lambda x: (-x[1], x[0])):
            yield {
                "subject_id": library.subject_id,
                "library": library.library,
                "sample_id": library.sample_id,
                "study_day": library.study_day,
                "population": population,
                "clone": clone,
                "cells": n,
                "total": len(names),
                "true_percent": _planted(library, place[clone], car_share)
                if population != "b_cells"
                else float("nan"),
            }


def _planted(library: LibraryClones, place: int, car_share: float) -> float:
    """Return the share of a clone among T cells of which ``car_share`` carry the CAR, %."""
    share = float(library.t_clones.shares[library.t_stage][place])
    own_kind = car_share if place < CAR_CLONES else 1 - car_share
    return 100 * share * (own_kind * (1 - SISTERS) + (1 - own_kind) * SISTERS)


def _b_rows(libraries: Sequence[LibraryClones]) -> list[dict[str, Any]]:
    """Return one row per clone with a cell; an old clone is described by its founder."""
    rows = []
    for subject_id, own in _by_subject(libraries).items():
        old = {clone.founder.name: clone for clone in own[0].old_b_clones}
        cells: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        first: dict[str, Clone] = {}
        for library in own:
            cells[library.stage == "before"].update(library.names("B"))
            for clone in library.clones:
                if clone is not None and _is(clone, "B"):
                    first.setdefault(clone.name, clone)
        for name in sorted(first):
            clone = old[name].founder if name in old else first[name]
            heavy, light = clone.chains
            rows.append(
                {
                    "subject_id": subject_id,
                    "clone": name,
                    "old": name in old,
                    "returns": name in old and old[name].returns,
                    **_genes(heavy),
                    "light_locus": light.chain,
                    **_genes(light, "light_"),
                    "substitutions": ";".join(
                        f"{place + 1}{base}"
                        for place, base in (old[name].substitutions if name in old else ())
                    ),
                    "before_cells": cells[True][name],
                    "after_cells": cells[False][name],
                }
            )
    return rows


def _b_cell_rows(library: LibraryClones) -> Iterable[dict[str, Any]]:
    for barcode, clone, c_gene, kind in zip(
        library.barcodes, library.clones, library.c_genes, library.types, strict=True
    ):
        if clone is not None and _is(clone, "B"):
            heavy = clone.chains[0]
            yield {
                "library": library.library,
                "cell": barcode,
                "type": kind,
                "clone": clone.name,
                "c_gene": c_gene,
                "cdr3_nt": heavy.cdr3_nt,
                "mutation_frequency": round(1 - heavy.v_identity, 4),
            }
