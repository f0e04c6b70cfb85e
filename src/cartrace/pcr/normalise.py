"""Copies per reaction -> copies/ug of DNA, copies/cell and copies/uL of blood, each with where it comes from.

Formulas: reference/assays.md B.3 (copies/ug = copies x 1000 / ng; copies/cell = 2 x target / reference
gene; copies/ug x pg per genome x 1e-6); dMIQE 2020 for the reference gene as the count of genomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cartrace.intake.sheets import look_alike

if TYPE_CHECKING:
    from cartrace.config import Pcr
    from cartrace.intake.extractions import Extraction
    from cartrace.pcr.assay import Assay

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

COLUMNS = {"copies/ug": "copies_per_ug", "copies/cell": "copies_per_cell", "copies/uL": "copies_per_ul"}
"""Unit -> its column of SAMPLES; the limits are ``_lower`` and ``_upper``."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """Samples in every unit, and how each unit follows from copies per reaction.

    ``factors[unit]`` (n,) is what one copy in the reaction is in ``unit``, nan where
    it can't be computed; ``reasons[unit]`` (n,) then says because of what.
    """

    samples: pd.DataFrame
    factors: dict[str, Floats]
    reasons: dict[str, Texts]


def normalise(
    samples: pd.DataFrame,
    references: Bools,
    assays: Mapping[str, Assay],
    extractions: Mapping[str, Extraction],
    settings: Pcr,
) -> Normalised:
    """Compute the mass of DNA in each reaction, and copies in every unit.

    Parameters
    ----------
    samples
        The contract SAMPLES, copies per reaction. A ``dna_ng`` of the source
        ``measured`` is the plate map's and goes before the extractions sheet. A
        ``copies_per_cell`` of the source ``reference`` (a duplex in the same wells)
        is kept.
    references : (n,) array of bool
        Rows whose copies count genomes: quantified, not rejected reference genes.
    assays
        Assay of each plate.
    extractions
        Row of the extractions sheet of each sample.
    settings
        The mass of a genome.

    Returns
    -------
    Normalised
        In the order of ``samples``.
    """
    frame = samples.reset_index(drop=True).copy()
    of_plate = frame["plate"].map(dict(assays))
    for column in ("template_ul", "dilution"):
        default = of_plate.map(lambda a, c=column: getattr(a.reaction, c)).astype("float64")
        frame[column] = frame[column].fillna(default)
    template, dilution = floats(frame["template_ul"]), floats(frame["dilution"])
    sheet = {
        column: floats(frame["sample"].map({s: getattr(e, column) for s, e in extractions.items()}))
        for column in ("dna_ng_per_ul", "elution_volume_ul", "blood_volume_ul", "white_cells_per_ul")
    }
    per_genome = floats(
        of_plate.map(lambda a: a.targets[a.reference].copies_per_genome if a.reference else None)
    )
    per_copy, why_reference = _per_cell_of_reference(frame, references, of_plate, per_genome)

    from_map = np.where(
        frame["dna_source"].eq("measured").fillna(value=False), floats(frame["dna_ng"]), np.nan
    )
    measured = np.where(np.isnan(from_map), sheet["dna_ng_per_ul"] * template / dilution, from_map)
    genomes = 1.0 / per_copy  # in the reaction: one cell holds one diploid genome
    masses = {
        "measured": measured,
        "reference": genomes * settings.pg_per_diploid_genome / 1000,
        "nominal": floats(of_plate.map(lambda a: a.reaction.dna_ng)),
    }
    listed = _missing_row(frame, extractions)
    why = {
        "measured": _first_reason(
            (measured == 0, "the measured mass of DNA is 0"),
            (listed != "", listed),
            (np.isnan(sheet["dna_ng_per_ul"]), "the extractions sheet gives no dna_ng_per_ul"),
            (np.isnan(template), "the assay file gives no reaction.template_ul"),
        ),
        "reference": why_reference,
        "nominal": np.full(len(frame), "the assay file gives no reaction.dna_ng", dtype=object),
    }
    # A nominal mass is for what nobody measured. Where DNA was looked for and none found, nothing is
    # normalised: a failed extraction would pass as a patient without the transgene.
    masses["nominal"], why["nominal"], no_dna = _unless_none_was_found(
        masses["nominal"], why["nominal"], measured, frame
    )
    orders = [a.reaction.dna_from for a in of_plate]
    frame["dna_ng"], frame["dna_source"], no_mass = _first_known(masses, why, orders)
    mass = floats(frame["dna_ng"])
    none_left = frame["dna_ng"].isna() & no_dna.notna()
    frame["dna_ng"] = frame["dna_ng"].mask(none_left, 0.0)
    frame["dna_source"] = frame["dna_source"].mask(none_left, no_dna)

    copies, low, high = (floats(frame[c]) for c in ("copies", "lower", "upper"))
    cell = _with_limits(frame, "copies_per_cell")
    per_ug = 1000 / mass
    genome_ug = settings.pg_per_diploid_genome * 1e-6
    by_genes = frame["dna_source"].eq("reference").fillna(value=False).to_numpy(bool)
    # A mass that was counted has the uncertainty of the count, which the ratio carries.
    ug = [
        np.where(by_genes, ratio / genome_ug, x * per_ug)
        for ratio, x in zip(cell, (copies, low, high), strict=True)
    ]
    by_ratio = ~np.isnan(per_copy)
    cell = [np.where(by_ratio, ratio, x * genome_ug) for ratio, x in zip(cell, ug, strict=True)]
    per_cell = np.where(by_ratio, per_copy, per_ug * genome_ug)
    frame["cell_source"] = pd.array(
        np.select([by_ratio, ~np.isnan(per_cell)], ["reference", "genome_mass"], ""), dtype="string"
    )
    frame["cell_source"] = frame["cell_source"].replace("", pd.NA)

    of_extraction = dilution * sheet["elution_volume_ul"] / (template * sheet["blood_volume_ul"])
    white = sheet["white_cells_per_ul"]
    blood = frame["matrix"].eq("blood").fillna(value=False).to_numpy(bool)
    of_white_cells = np.where(blood & (white > 0), per_cell * white, np.nan)
    why = {
        "extraction": _first_reason(
            (listed != "", listed),
            (np.isnan(sheet["elution_volume_ul"]), "the extractions sheet gives no elution_volume_ul"),
            (np.isnan(sheet["blood_volume_ul"]), "the extractions sheet gives no blood_volume_ul"),
            (np.isnan(template), "the assay file gives no reaction.template_ul"),
        ),
        "white_cells": _first_reason(
            (~blood, "white cells count for the matrix blood only"),
            (listed != "", listed),
            (np.isnan(white), "the extractions sheet gives no white_cells_per_ul"),
            (white == 0, "the white-cell count is 0"),
            (np.isnan(per_cell), "copies/cell is not known"),
        ),
    }
    per_ul, frame["blood_source"], no_blood = _first_known(
        {"extraction": of_extraction, "white_cells": of_white_cells},
        why,
        [a.reaction.blood_from for a in of_plate],
    )
    by_cells = frame["blood_source"].eq("white_cells").fillna(value=False).to_numpy(bool)
    ul = [
        np.where(by_cells, ratio * white, x * per_ul)
        for ratio, x in zip(cell, (copies, low, high), strict=True)
    ]

    # A control has no eluate behind it, and only the transgene has units.
    unknown = frame["task"].eq("unknown").to_numpy(bool)
    counted = unknown & frame["role"].eq("transgene").to_numpy(bool)
    for name, numbers in (("copies_per_ug", ug), ("copies_per_cell", cell), ("copies_per_ul", ul)):
        for end, values in zip(("", "_lower", "_upper"), numbers, strict=True):
            frame[name + end] = np.where(counted, values, np.nan)
    for name in ("cell_source", "blood_source"):
        frame[name] = frame[name].where(counted)
    for name in ("dna_ng", "dna_source"):
        frame[name] = frame[name].where(unknown, samples[name].reset_index(drop=True))
    return Normalised(
        frame,
        {"copies/ug": per_ug, "copies/cell": per_cell, "copies/uL": per_ul},
        {
            "copies/ug": no_mass,
            "copies/cell": np.where(np.isnan(per_cell), no_mass, "").astype(object),
            "copies/uL": no_blood,
        },
    )


def quotient_interval(
    numerator: tuple[Floats, Floats, Floats], denominator: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return the limits of a quotient of two independent estimates with their own limits.

    On the log scale the distances to the limits add as squares (method of variance
    estimates recovery, Zou and Donner 2008, Stat Med 27:1693), so that asymmetric
    limits stay asymmetric. A numerator of 0 has no logarithm: its upper limit is then
    divided by the lower limit of the denominator, which is wide rather than narrow.

    Parameters
    ----------
    numerator, denominator : tuple of (n,) array
        Estimate, lower and upper limit; the denominator is above 0.
    """
    (a, a_low, a_high), (b, b_low, b_high) = numerator, denominator
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = a / b
        low = ratio * np.exp(-np.hypot(np.log(a / a_low), np.log(b_high / b)))
        high = ratio * np.exp(np.hypot(np.log(a_high / a), np.log(b / b_low)))
        return np.asarray(np.where(a > 0, low, 0.0)), np.asarray(np.where(a > 0, high, a_high / b_low))


def floats(column: pd.Series) -> Floats:
    """Return a column of numbers as an array, nan where it is empty."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _with_limits(frame: pd.DataFrame, name: str) -> list[Floats]:
    return [floats(frame[name + end]) for end in ("", "_lower", "_upper")]


def _per_cell_of_reference(
    frame: pd.DataFrame, references: Bools, of_plate: pd.Series, per_genome: Floats
) -> tuple[Floats, Texts]:
    """Fill reference_copies and copies_per_cell; return copies/cell of one copy, and why it is unknown."""
    joined = _reference_row(frame, references & (floats(frame["copies"]) > 0))
    # The two genes may stand in reactions of their own, with other dilutions of the eluate.
    share = floats(joined["dilution"]) / floats(frame["dilution"])
    volumes = floats(frame["template_ul"]) / floats(joined["template_ul"])
    unstated = frame["template_ul"].isna().to_numpy() & joined["template_ul"].isna().to_numpy()
    share = share * np.where(unstated, 1.0, volumes)
    row = [share * floats(joined[c]) for c in ("copies", "lower", "upper")]

    usable = ~np.isnan(row[0])
    transgene = frame["role"].eq("transgene").to_numpy(bool)
    duplex = usable & transgene & frame["cell_source"].eq("reference").fillna(value=False).to_numpy(bool)
    duplex &= frame["reference_copies"].notna().to_numpy() & frame["copies_per_cell"].notna().to_numpy()
    reference = np.where(duplex, floats(frame["reference_copies"]), row[0])
    frame["reference_copies"] = np.where(transgene, reference, np.nan)
    copies = [floats(frame[c]) for c in ("copies", "lower", "upper")]
    low, high = quotient_interval((copies[0], copies[1], copies[2]), (row[0], row[1], row[2]))
    own = [per_genome * x for x in (copies[0] / reference, low, high)]
    for name, ours in zip(("", "_lower", "_upper"), own, strict=True):
        column = "copies_per_cell" + name
        frame[column] = np.where(duplex, floats(frame[column]), np.where(transgene, ours, np.nan))
    names = of_plate.map(lambda a: a.reference or "")
    why = np.where(
        names.eq(""),
        "the assay has no reference gene",
        "the reference gene "
        + names.astype(str)
        + " has no single result beside it that is accepted and quantified",
    ).astype(object)
    # For the reference gene itself and the spike only the mass is of interest.
    return np.asarray(per_genome / np.where(transgene, reference, row[0])), why


def _reference_row(frame: pd.DataFrame, given: Bools) -> pd.DataFrame:
    """Return the row of the reference gene that stands beside each row, in its order; empty where none does.

    The one with the same dilution, template and mass when the sample was run in several; else the only one.
    """
    columns = ["copies", "lower", "upper", "dilution", "template_ul"]
    sample, reaction = ["plate", "sample"], ["plate", "sample", "dilution", "template_ul", "dna_ng"]
    found = pd.DataFrame(np.nan, index=frame.index, columns=columns)
    for keys in (sample, reaction):
        labels = frame.groupby(keys, dropna=False, sort=False).ngroup()
        rows = frame.loc[given, columns].astype("float64").assign(label=labels[given])
        rows = rows.drop_duplicates("label", keep=False).set_index("label")
        beside = rows.reindex(labels).set_index(frame.index)
        found = beside.where(beside["copies"].notna(), found, axis=0)
    return found


def _unless_none_was_found(
    nominal: Floats, why: Texts, measured: Floats, frame: pd.DataFrame
) -> tuple[Floats, Texts, pd.Series]:
    """Drop the nominal mass where no DNA was found; return it, why it is not known, and what found none."""
    empty = frame["role"].eq("reference") & frame["task"].eq("unknown") & frame["copies"].eq(0)
    empty &= frame["verdict"].ne("rejected")
    sample = frame["plate"] + "\n" + frame["sample"]
    no_gene = sample.isin(sample[empty.fillna(value=False)].dropna()).to_numpy(bool)
    found_by = pd.Series(
        np.select([measured == 0, no_gene], ["measured", "reference"], ""), index=frame.index, dtype="string"
    ).replace("", pd.NA)
    none = found_by.notna().to_numpy(bool)
    text = "no DNA was found, so the nominal mass does not hold"
    return np.where(none, np.nan, nominal), np.where(none, text, why).astype(object), found_by


def _missing_row(frame: pd.DataFrame, extractions: Mapping[str, Extraction]) -> Texts:
    """Say where the extractions sheet has no row of the sample; an empty text where it has one."""
    alike = {look_alike(s): s for s in extractions}

    def missing(sample: str) -> str:
        if sample in extractions:
            return ""
        twin = alike.get(look_alike(sample))
        return "the extractions sheet has no row of the sample" + (f" (but one of '{twin}')" if twin else "")

    return frame["sample"].map(missing).to_numpy(object)


def _first_reason(*cases: tuple[Bools, str | Texts]) -> Texts:
    """Return the text of the first case that holds in each row."""
    out = np.full(len(cases[0][0]), "", dtype=object)
    for holds, text in reversed(cases):
        out = np.where(holds, text, out).astype(object)
    return out


def _first_known(
    candidates: Mapping[str, Floats], why: Mapping[str, Texts], orders: list[tuple[str, ...]]
) -> tuple[Floats, pd.Series, Texts]:
    """Take in each row the first source of its order that has a number above 0, or say why there is none."""
    n = len(orders)
    number, source = np.full(n, np.nan), np.full(n, None, dtype=object)
    reason = np.full(n, "", dtype=object)
    for order in set(orders):
        rows = np.array([o == order for o in orders], dtype=bool)
        for name in order:
            take = rows & np.isnan(number) & (candidates[name] > 0)
            number[take] = candidates[name][take]
            source[take] = name
        for i in np.flatnonzero(rows & np.isnan(number)):
            reason[i] = (
                "; ".join(dict.fromkeys(why[name][i] for name in order)) or "the assay file names no source"
            )
    return number, pd.Series(source, dtype="string"), reason
