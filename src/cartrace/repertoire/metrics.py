"""Metrics of clones and integration sites: what of the product is left, what grew, which B cells came back.

A course is one compartment (blood or PBMC) after one infusion, of one population of cells, which the assay names:
CAR+ T cells and the cell types of integration sites are courses of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartrace.metrics import Metric, find, register, unit_of
from cartrace.repertoire.vocabulary import B_ASSAY, BLOOD, SITE_ASSAY, T_ASSAY, UNSORTED
from cartrace.tables import METRICS, records, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Landmark
    from cartrace.repertoire.settings import Repertoire

_HOUSE = "House definition."
_DEPTH = "The number grows with the cells that were looked at."

for _metric in (
    Metric(
        name="product_clones",
        label="Clones of the product",
        unit="none",
        definition="T-cell clones seen in the infusion product; of several product samples of one infusion the one with most "
        f"cells. {_DEPTH}",
        source=_HOUSE,
        group="clones",
    ),
    Metric(
        name="clones_found_at_{landmark}",
        label="Product clones found at {landmark}",
        unit="none",
        definition="Clones of the product that were seen in the sample that answers for the landmark. A clone that was not "
        "seen may be there: the remark says how many that depth would show, had every clone kept its share. Among all T cells "
        "fewer are found than that, also without any loss: blood holds T cells that were never infused.",
        source="House definition; clones of the product followed at 1 month and later: Qin 2024 (Science Immunology).",
        group="clones",
    ),
    Metric(
        name="clones_found_percent_at_{landmark}",
        label="Share of product clones found at {landmark}",
        unit="%",
        definition="The same as a share of the clones seen in the product. It has no interval: clones are found with "
        "different probabilities, by their size.",
        source=_HOUSE,
        group="clones",
    ),
    Metric(
        name="last_day_product_clone",
        label="Last day with a clone of the product",
        unit="day",
        definition="Between the last sample in which any clone of the product was seen and the next one, in which none was; "
        "right-censored when the last sample has one. Samples with too few cells do not enter. Among all T cells the clone "
        "may live on in cells that were never infused; among CAR+ T cells it may not.",
        source="House definition: the sampling days make it an interval.",
        group="clones",
        event=True,
    ),
    Metric(
        name="expanded_clones",
        label="Clones larger after infusion than in the product",
        unit="none",
        definition="Clones whose share is larger in any sample after the infusion than in the product: Fisher's exact test, "
        "two-sided, false-discovery rate of Benjamini and Hochberg within the pair of samples. Among all T cells blood differs "
        "from the product by T cells that were never infused: the remark says how many of the clones were in the blood before.",
        source="House definition; the tests: Fisher 1935, Benjamini and Hochberg 1995 (J R Stat Soc B 57:289).",
        group="clones",
    ),
    Metric(
        name="contracted_clones",
        label="Clones smaller after infusion than in the product",
        unit="none",
        definition="The same for a smaller share. A clone can expand to one sample and contract to another.",
        source="House definition; tests as for expanded_clones.",
        group="clones",
    ),
    Metric(
        name="largest_clone_peak",
        label="Largest clone, peak",
        unit="%",
        definition="Largest share of one clone in any sample after the infusion, with the exact interval of that share. "
        "Being the largest of many it lies too high where samples are small. The remark names the clone, and its share in the "
        "blood before the infusion where it was seen there.",
        source=_HOUSE,
        group="clones",
    ),
    Metric(
        name="b_clones_returned",
        label="B-cell clones that came back",
        unit="none",
        definition="B-cell clones seen in any sample from before the first infusion and in one after this infusion. "
        f"{_DEPTH}",
        source="House definition; overlap of B cells before and after: Qin 2024 (Science Immunology).",
        group="clones",
    ),
    Metric(
        name="old_b_clone_share_last",
        label="B cells in old clones, last sample",
        unit="%",
        definition="Share of the B cells of the last sample with B cells that are of clones seen before the first infusion.",
        source=_HOUSE,
        group="clones",
    ),
    Metric(
        name="naive_bcr_share_last",
        label="Naive B cells by receptor, last sample",
        unit="%",
        definition="Share of the B cells of the last sample that tells it with IGHM or IGHD and a V gene that is not "
        "mutated, of those for which both are known.",
        source=_HOUSE,
        group="clones",
    ),
    Metric(
        name="largest_site_peak",
        label="Largest integration site, peak",
        unit="%",
        definition="Largest share of one integration site in any sample after the infusion, with the exact interval of that "
        "share. Samples below repertoire.sites.min_abundance do not enter.",
        source="House definition; shares by sonic abundance as in INSPIIRED's reports [recalled].",
        group="clones",
    ),
    Metric(
        name="dominant_site",
        label="Dominant integration site",
        unit="none",
        definition="Yes when the lower limit of the share of one site is above repertoire.sites.dominant_percent in any sample "
        "after the infusion.",
        source="House definition; the limit as in INSPIIRED's reports [recalled].",
        group="clones",
        share=True,
    ),
    Metric(
        name="sites_last",
        label="Integration sites, last sample",
        unit="none",
        definition="Integration sites seen in the last sample after the infusion that has repertoire.sites.min_abundance. "
        f"{_DEPTH}",
        source=_HOUSE,
        group="clones",
    ),
):
    register(_metric)

T_ASSAYS = {"t_cells": T_ASSAY, "car_t_cells": f"{T_ASSAY} (CAR+ T cells)"}
"""Population -> assay: two populations of one sample are two courses."""
NO_SAMPLE = "no sample after the infusion"
NO_PRODUCT = "no infusion product with receptors of T cells"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of all subjects, by their contracts."""

    samples: pd.DataFrame
    """CLONE_SAMPLES."""
    totals: pd.DataFrame
    """CLONE_TOTALS."""
    changes: pd.DataFrame
    """CLONE_CHANGES."""
    persistence: pd.DataFrame
    """CLONE_PERSISTENCE."""
    b_return: pd.DataFrame
    """B_RETURN."""
    sites: pd.DataFrame
    """SITE_SAMPLES."""
    alarms: pd.DataFrame
    """SITE_ALARM."""
    diversity: pd.DataFrame
    """DIVERSITY: it alone has the samples in which no site was found."""


def site_assay(cell_type: str) -> str:
    """Name the assay of the sites of one cell type, so that two types are never one course."""
    return SITE_ASSAY if cell_type == UNSORTED else f"{SITE_ASSAY} ({cell_type})"


def compute_metrics(tables: Tables, settings: Repertoire, landmarks: Sequence[Landmark]) -> pd.DataFrame:
    """Return the metrics of clones and integration sites (the contract METRICS).

    A subject has the metrics of what was looked for in it: of T-cell clones where a library of that population was
    sequenced for their receptors, and so on. What can't be told then is a row with a reason.

    Parameters
    ----------
    tables
        All subjects.
    settings
        Section ``repertoire`` of the configuration.
    landmarks
        ``kinetics.persistence.landmarks``.
    """
    found = [
        *_t_cell_metrics(tables, settings, landmarks),
        *_b_cell_metrics(tables),
        *_site_metrics(tables, settings),
    ]
    return rows(found, METRICS)


def largest(samples: pd.DataFrame, keys: Sequence[str], size: str, name: str) -> dict[tuple[Any, ...], Row]:
    """Return by ``keys`` the row of the largest clone, or site; of equally large ones the first by name."""
    # Sorted are only the largest: a trial has millions of clones.
    most = samples[samples[size] == samples.groupby(list(keys), observed=True)[size].transform("max")]
    ordered = most.sort_values(name, kind="stable")
    return {tuple(r[k] for k in keys): r for r in records(ordered.drop_duplicates(list(keys)))}


def product_of(totals: Iterable[Row]) -> Row | None:
    """Return the product sample of one infusion and population: that with most cells (rows of CLONE_TOTALS)."""
    products = [r for r in totals if r["matrix"] == "infusion_product"]
    return min(products, key=lambda r: (-r["cells"], r["sample_id"]), default=None)


def _grouped(table: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in records(table):
        groups[tuple(row[k] for k in keys)].append(row)
    return {key: groups[key] for key in sorted(groups)}


def _by_course(own: Sequence[Row]) -> Iterator[tuple[int, str, list[Row]]]:
    """Yield infusion, compartment and the rows after that infusion in order of days; one of blood where there is none."""
    for infusion in sorted({r["infusion"] for r in own}):
        after = sorted(
            (r for r in own if r["infusion"] == infusion and r["matrix"] in BLOOD and r["day"] > 0),
            key=lambda r: (r["day"], r["sample_id"]),
        )
        for matrix in sorted({r["matrix"] for r in after}) or BLOOD[:1]:
            yield infusion, matrix, [r for r in after if r["matrix"] == matrix]


def _row(course: Row, name: str, value: float | None, *, reason: str | None, **more: Any) -> Row:
    status = "not_estimable" if value is None else "estimated"
    unit = unit_of(find(name), "%")
    return {**course, "metric": name, "value": value, "unit": unit, "status": status, "reason": reason} | more


def _window(*of: Row) -> dict[str, Any]:
    days = [r["day"] for r in of]
    return (
        {"n_points": len(of), "window_start": min(days), "window_end": max(days)} if of else {"n_points": 0}
    )


def _share(course: Row, name: str, row: Row | None, otherwise: str, **more: Any) -> Row:
    """Return a share with its limits, from a row that has percent, lower and upper."""
    if row is None:
        return _row(course, name, None, reason=otherwise, n_points=0)
    facts = {"reason": None, "lower": row["lower"], "upper": row["upper"]} | _window(row) | more
    return _row(course, name, row["percent"], **facts)


def _course(subject: str, infusion: int, matrix: str, analyte: str, assay: str) -> Row:
    return {
        "subject_id": subject,
        "infusion": infusion,
        "matrix": matrix,
        "analyte": analyte,
        "assay": assay,
        "course_unit": "%",
    }


# --- T cells -------------------------------------------------------------------------------------------------


def _t_cell_metrics(tables: Tables, settings: Repertoire, landmarks: Sequence[Landmark]) -> Iterator[Row]:
    keys = ("subject_id", "population")
    totals = tables.totals[tables.totals["population"].isin(list(T_ASSAYS))]
    persistence = _grouped(tables.persistence, *keys, "product_sample")
    called = _called(tables.changes)
    changes = _grouped(called, *keys, "from_sample")
    peaks = largest(tables.samples, (*keys, "sample_id"), "cells", "clonotype")
    early = _early(tables, {*called["clonotype"], *(r["clonotype"] for r in peaks.values())})
    with_t = set(totals.loc[totals["population"] == "t_cells", "subject_id"])
    for (subject, population), own in _grouped(totals, *keys).items():
        # Unsorted libraries hold CAR+ T cells only where these were called; sorted for them, none is an answer.
        if population == "car_t_cells" and subject in with_t and not any(r["cells"] for r in own):
            continue
        for infusion, matrix, after in _by_course(own):
            product = product_of(r for r in own if r["infusion"] == infusion)
            refused = _refused(product)
            key = (subject, population, product["sample_id"] if product else None)
            course = _course(subject, infusion, matrix, "product_clone_fraction", T_ASSAYS[population])
            later = {r["sample_id"] for r in after}
            kept = sorted(
                (r for r in persistence.get(key, []) if r["sample_id"] in later), key=lambda r: r["day"]
            )
            yield _product_clones(course, product, refused)
            yield from _landmarks(course, kept, refused, landmarks)
            yield _last_day(course, kept, refused)
            course = {**course, "analyte": "largest_t_clone_fraction"}
            usable = [r for r in after if r["verdict"] != "rejected"]
            why = _why_none(after)
            tested = [r for r in changes.get(key, []) if r["to_sample"] in {u["sample_id"] for u in usable}]
            before = early.get((subject, population))
            yield from _changed(course, tested, usable, refused or why, settings, before=before)
            tops = [peaks[subject, population, r["sample_id"]] for r in usable]
            yield _with_before(_peak(course, "largest_clone_peak", tops, why, "clonotype"), before or {})


def _early(tables: Tables, clones: Iterable[str]) -> dict[tuple[str, str], dict[str, float]]:
    """Return by subject and population those of ``clones`` that its blood had before the first infusion: largest share, %.

    A subject without such a sample that tells shares is left out.
    """
    # On the day of the infusion the persistence of its clones tells which samples came after it.
    totals = tables.totals[tables.totals["matrix"].isin(BLOOD) & (tables.totals["study_day"] <= 0)]
    totals = totals[~totals["sample_id"].isin(tables.persistence["sample_id"])]
    told = records(totals[totals["verdict"] != "rejected"])
    found: dict[tuple[str, str], dict[str, float]] = {(r["subject_id"], r["population"]): {} for r in told}
    samples = tables.samples[tables.samples["sample_id"].isin([r["sample_id"] for r in told])]
    samples = samples[samples["clonotype"].isin(list(clones)) & samples["percent"].notna()]
    for row in records(samples.sort_values("percent")):
        found[row["subject_id"], row["population"]][row["clonotype"]] = row["percent"]
    return found


def _with_before(peak: Row, before: Mapping[str, float]) -> Row:
    """Add to a largest clone its share before the infusion: one that was as large did not grow."""
    if peak["value"] is None or peak["reason"] not in before:
        return peak
    share = before[peak["reason"]]
    return {**peak, "reason": f"{peak['reason']}, {share:.3g} % in the blood before the infusion"}


def _called(changes: pd.DataFrame) -> pd.DataFrame:
    """Return how many clones were tested in each pair, and those that changed: few rows of many."""
    unchanged = changes["change"] == "unchanged"
    pair = ["subject_id", "population", "from_sample", "to_sample"]
    return changes[~unchanged | ~changes.duplicated(pair)]


def _refused(product: Row | None) -> str:
    """Say why a product tells no clones; empty when it does."""
    if product is None:
        return NO_PRODUCT
    return f"infusion product: {product['reason']}" if product["verdict"] == "rejected" else ""


def _why_none(after: Sequence[Row]) -> str:
    """Say why no sample of these can be used; empty when one can."""
    if any(r["verdict"] != "rejected" for r in after):
        return ""
    return str(after[-1]["reason"]) if after else NO_SAMPLE


def _product_clones(course: Row, product: Row | None, refused: str) -> Row:
    if refused or product is None:
        return _row(course, "product_clones", None, reason=refused, n_points=0)
    remark = f"in {product['cells']} cells"
    return _row(course, "product_clones", product["clones"], reason=remark, **_window(product))


def _landmarks(
    course: Row, kept: Sequence[Row], refused: str, landmarks: Sequence[Landmark]
) -> Iterator[Row]:
    for mark in landmarks:
        row = next((r for r in kept if mark.name in str(r["landmark"] or "").split(";")), None)
        missing = f"no sample within {mark.window:g} days of day {mark.day:g}"
        reason = refused or (missing if row is None else row["reason"])
        names = f"clones_found_at_{mark.name}", f"clones_found_percent_at_{mark.name}"
        method = f"day {mark.day:g} +/- {mark.window:g}"
        if reason or row is None:
            for name in names:
                yield _row(
                    course, name, None, reason=reason, method=method, **_window(*([row] if row else []))
                )
            continue
        expected = row["expected_if_unchanged"]
        remark = (
            "deeper than the product, so that nobody can say how many to expect"
            if expected is None
            else f"{expected:.3g} expected, had every clone kept its share"
        )
        values = row["found"], 100 * row["found"] / row["product_clones"]
        for name, value in zip(names, values, strict=True):
            yield _row(course, name, value, reason=remark, method=method, **_window(row))


def _last_day(course: Row, kept: Sequence[Row], refused: str) -> Row:
    name = "last_day_product_clone"
    usable = [r for r in kept if not r["reason"]]
    if refused or not usable:
        reason = refused or (kept[-1]["reason"] if kept else NO_SAMPLE)
        return _row(course, name, None, reason=reason, n_points=0)
    last = max((r["day"] for r in usable if r["found"]), default=0.0)
    following = next((r["day"] for r in usable if r["day"] > last), None)
    method = "any clone of the product"
    more = {"status": "right_censored", "lower": last}
    reason = f"seen in the last sample, day {last:g}"
    if following is not None:
        more = {"status": "interval_censored", "lower": last, "upper": following}
        reason = f"seen on day {last:g}, not on day {following:g}" if last else "seen in no sample"
    return _row(course, name, None, reason=reason, method=method, **(_window(*usable) | more))


def _changed(
    course: Row,
    tested: Sequence[Row],
    usable: Sequence[Row],
    refused: str,
    settings: Repertoire,
    *,
    before: Mapping[str, float] | None,
) -> Iterator[Row]:
    rules = settings.tracking
    reason = refused
    if not reason and not tested:
        reason = f"no clone has {rules.min_cells} cells in the product and a later sample together: none can be tested"
    for name, change in (("expanded_clones", "expanded"), ("contracted_clones", "contracted")):
        clones = {r["clonotype"] for r in tested if r["change"] == change}
        method = f"Fisher's exact test, q < {rules.fdr:g}, clones of {rules.min_cells} cells or more"
        remark = ""
        if course["assay"] == T_ASSAY and clones and change == "expanded":
            old = len(clones & set(before or ()))
            remark = (
                "T cells of the blood before the infusion are not known"
                if before is None
                else f"{old} of {len(clones)} were in the blood before the infusion"
            )
        yield _row(
            course,
            name,
            None if reason else len(clones),
            reason=reason or remark or None,
            method=method,
            **_window(*usable),
        )


def _peak(course: Row, name: str, of_samples: Sequence[Row], why: str, whose: str) -> Row:
    # Of equal shares the earliest.
    top: Row | None = max(of_samples, key=lambda r: (r["percent"], -r["day"]), default=None)
    more = {} if top is None else {"reason": top[whose], "n_points": len(of_samples)}
    return _share(course, name, top, why, **more)


# --- B cells -------------------------------------------------------------------------------------------------


def _b_cell_metrics(tables: Tables) -> Iterator[Row]:
    b_samples = tables.samples[tables.samples["population"] == "b_cells"]
    clones = _grouped(b_samples, "subject_id")
    for (subject,), own in _grouped(tables.b_return, "subject_id").items():
        # Old clones are asked for after the infusion alone.
        later = {r["sample_id"] for r in own if r["measure"] == "old_clones"}
        seen = clones.get((subject,), [])
        old = {
            r["clonotype"] for r in seen if r["sample_id"] not in later and r["matrix"] != "infusion_product"
        }
        for infusion, matrix, after in _by_course(own):
            measured = {
                m: [r for r in after if r["measure"] == m and r["sample_id"] in later]
                for m in ("old_clones", "naive")
            }
            course = _course(subject, infusion, matrix, "old_b_clone_fraction", B_ASSAY)
            yield _returned(course, measured["old_clones"], old, seen)
            yield _last(course, "old_b_clone_share_last", measured["old_clones"])
            course = {**course, "analyte": "naive_bcr_fraction"}
            yield _last(course, "naive_bcr_share_last", measured["naive"])


def _returned(course: Row, after: Sequence[Row], old: set[str], seen: Sequence[Row]) -> Row:
    told = [r for r in after if r["percent"] is not None]
    if not told:
        reason = after[-1]["reason"] if after else NO_SAMPLE
        return _row(course, "b_clones_returned", None, reason=reason, n_points=0)
    names = {r["sample_id"] for r in told}
    back = {r["clonotype"] for r in seen if r["sample_id"] in names} & old
    cells = sum(r["total"] for r in told)
    remark = f"of {len(old)} clones from before the infusion, among {cells} B cells after it"
    return _row(course, "b_clones_returned", len(back), reason=remark, **_window(*told))


def _last(course: Row, name: str, after: Sequence[Row]) -> Row:
    told = [r for r in after if r["percent"] is not None]
    if told:
        return _share(course, name, told[-1], "", reason=told[-1]["reason"])
    return _share(course, name, None, after[-1]["reason"] if after else NO_SAMPLE)


# --- integration sites ---------------------------------------------------------------------------------------


def _without_sites(diversity: pd.DataFrame) -> dict[tuple[str, str, str], Row]:
    """Return samples in which no site was found, by subject, cell type and sample."""
    none = diversity[(diversity["unit"] == "site") & (diversity["depth"] == 0)]
    return {
        (row["subject_id"], row["population"], row["sample_id"]): {**row, "total": 0}
        for row in records(none.drop_duplicates(["subject_id", "population", "sample_id"]))
    }


def _site_metrics(tables: Tables, settings: Repertoire) -> Iterator[Row]:
    keys = ("subject_id", "cell_type")
    rules = settings.sites
    tops = largest(tables.sites, (*keys, "sample_id"), "abundance", "site")
    number = tables.sites.groupby([*keys, "sample_id"]).size().to_dict()
    dominant = {
        (r["subject_id"], r["cell_type"], r["sample_id"])
        for r in records(tables.alarms)
        if r["alarm"] == "dominant"
    }
    of_samples: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for key, sample in sorted({**_without_sites(tables.diversity), **tops}.items()):
        of_samples[key[:2]].append(sample)
    for (subject, cell_type), own in of_samples.items():
        for infusion, matrix, after in _by_course(own):
            course = _course(subject, infusion, matrix, "largest_site_fraction", site_assay(cell_type))
            usable = [r for r in after if r["total"] >= rules.min_abundance]
            few = (
                f"{after[-1]['total']:g} cells by their sites, fewer than {rules.min_abundance}"
                if after
                else ""
            )
            why = few or NO_SAMPLE
            yield _peak(course, "largest_site_peak", usable, why, "site")
            method = f"lower limit of the share above {rules.dominant_percent:g} %"
            if not usable:
                yield _row(course, "dominant_site", None, reason=why, method=method, n_points=0)
                yield _row(course, "sites_last", None, reason=why, n_points=0)
                continue
            there = any((subject, cell_type, r["sample_id"]) in dominant for r in usable)
            yield _row(course, "dominant_site", float(there), reason=None, method=method, **_window(*usable))
            last = usable[-1]
            remark = f"among {last['total']:g} cells"
            sites = int(number[subject, cell_type, last["sample_id"]])
            yield _row(course, "sites_last", sites, reason=remark, **_window(last))
