"""The populations of one tube: shares, cells/uL, limits, verdicts, and the results that go into measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cartrace.flow.absolute import Way, agreements, by_beads, by_blood_count, by_volume
from cartrace.flow.acceptance import QUANTITIES, Rules, rules_of, verdict_of
from cartrace.flow.background import Background, background_of, markers_of, way_to
from cartrace.flow.checks import CarGate
from cartrace.flow.counts import share_interval
from cartrace.flow.limits import Detected, detect, limits_of
from cartrace.flow.tables import POPULATIONS
from cartrace.flow.vocabulary import COUNT_METHODS, FLAGS
from cartrace.intake.sheets import quote
from cartrace.problems import plain
from cartrace.tables import records

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Flow
    from cartrace.flow.panel import Panel, Population
    from cartrace.intake.tubes import GateReview, Tube

Row = Mapping[str, Any]

REJECTING = frozenset({"review_rejected"})
"""Flags that are no rules and reject a number that is there."""


@dataclass(frozen=True, slots=True)
class TubeTables:
    """What gate_tube made of one tube, and its panel."""

    file_id: str
    panel: Panel
    tubes: pd.DataFrame
    gates: pd.DataFrame
    thresholds: pd.DataFrame
    background: pd.DataFrame
    acquisition: pd.DataFrame
    plots: pd.DataFrame
    qc: pd.DataFrame


@dataclass(slots=True)
class Counted:
    """One population of one tube."""

    population: Population
    row: dict[str, Any]
    """Row of POPULATIONS."""
    flags: set[str] = field(default_factory=set)
    absolute_flags: set[str] = field(default_factory=set)
    """Flags that concern cells/uL alone."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Unit -> why it can't be told."""
    per_event: dict[str, float] = field(default_factory=dict)
    """Unit -> what one event stands for."""
    detected: Detected | None = None

    @property
    def units(self) -> list[str]:
        """Reported units that have a number."""
        return [u for u in self.population.reported_units if u in self.per_event and self.detected]


class CountedTube:
    """One tube while it is counted."""

    def __init__(
        self,
        tables: TubeTables,
        sheet: Tube,
        review: GateReview | None,
        sample: Row,
        *,
        before: bool,
        settings: Flow,
    ) -> None:
        """Count the populations; verdicts follow with :meth:`finish`, when the other tubes are known too.

        Parameters
        ----------
        tables
            Of gate_tube.
        sheet, review
            What the sheets say of the tube.
        sample
            Row of SAMPLES; empty where there is none.
        before
            Whether the sample was taken before the first infusion.
        settings
            Section ``flow`` of the configuration.
        """
        self.tables, self.sheet, self.sample, self.before = tables, sheet, sample, before
        self.panel, self.settings = tables.panel, settings
        self.acquired = records(tables.tubes)[0]
        self.is_sample = self.acquired["kind"] == "sample"
        self.rules: Rules = rules_of(self.panel, settings)
        self.gates = {str(g["gate"]): g for g in records(tables.gates)}
        self.background = records(tables.background)
        self.findings: list[dict[str, object]] = []
        self._told: dict[tuple[str, str, str], dict[str, list[Row]]] = {}
        flags = set(str(self.acquired["flags"] or "").split(";")) - {""}
        # A rule that is ignored flags nothing.
        self.flags = {f for f in flags if f not in QUANTITIES or self.rules[f].consequence != "ignore"}
        self.review, self.remark = self._reviewed(review)
        self.beads, self.volume = self._ways()
        self.counted = [self._count(name, p) for name, p in self.panel.populations.items()]

    def _say(self, check: str, verdict: str, message: str, **more: object) -> None:
        self.findings.append(
            {
                "check": check,
                "verdict": verdict,
                "source_file": self.tables.file_id,
                "message": message,
                **more,
            }
        )

    def _note(self, check: str, verdict: str, row: Row, text: str, unit: str = "") -> None:
        """Remember what is odd in a population, so that one row of qc tells it of all populations of the tube."""
        self._told.setdefault((check, verdict, unit), {}).setdefault(text, []).append(row)

    def _of_populations(self) -> Iterator[dict[str, object]]:
        for (check, verdict, unit), texts in self._told.items():
            about = [row for mine in texts.values() for row in mine]
            analytes = {row["analyte"] for row in about}
            yield {
                "check": check,
                "verdict": verdict,
                "source_file": self.tables.file_id,
                "source_column": ", ".join(str(row["population"]) for row in about),
                "analyte": analytes.pop() if len(analytes) == 1 else None,
                "value": unit or None,
                "message": "; ".join(
                    f"{', '.join(quote(row['population']) for row in mine)}: {text}"
                    for text, mine in texts.items()
                ),
            }

    # --- the tube ---------------------------------------------------------------------------

    def _reviewed(self, review: GateReview | None) -> tuple[str, str | None]:
        """Compare what the reviewer signed with the gates that were applied."""
        required = self.settings.review == "required" and self.is_sample
        if review is None:
            if required and any(p.is_car for p in self.panel.populations.values()):
                self.flags.add("no_review")
                self._say(
                    "no_review",
                    "warn",
                    f"{FLAGS['no_review']}: CAR counts are flagged",
                    limit_source="flow.review",
                )
            return "missing" if required else "not_asked", None
        state = review.verdict
        if review.gates_sha256 != str(self.acquired["gates_sha256"]).lower():
            state = "changed"
            self.flags.add("gates_changed")
            self._say(
                "gates_changed",
                "warn",
                f"{FLAGS['gates_changed']} ({review.verdict} then)",
                value=self.acquired["gates_sha256"],
                limit=review.gates_sha256,
                limit_source="gate review sheet",
                suggestion="look at the gates again, and write their hash into the sheet",
            )
        elif state == "rejected":
            self.flags.add("review_rejected")
            self._say("review_rejected", "fail", FLAGS["review_rejected"], limit_source="gate review sheet")
        return state, plain(review.remark) if review.remark else None

    def _ways(self) -> tuple[Way, Way]:
        """Return the ways to cells/uL that are the tube's own; too few beads are no way, or a flag."""
        beads = by_beads(self.sheet, self.panel, self.acquired["bead_events"])
        if self.is_sample and not math.isnan(beads.scale) and "beads" in self.settings.absolute_from:
            self.findings.append(
                self.rules.finding(
                    "beads", beads.per, self.tables.file_id, f"{beads.per} counting beads were acquired"
                )
            )
            if self.rules.broken("beads", beads.per):
                self.flags.add("beads")
                if self.rules["beads"].consequence == "reject":
                    beads = Way(
                        "beads", reason=f"{beads.per} beads ({self.rules.allowed('beads')} are asked)"
                    )
        return beads, by_volume(self.sheet, self.acquired)

    def tube_row(self) -> dict[str, Any]:
        """Return the row of TUBES, with what the sheets say."""
        verdict = self._verdict(self.flags - {"beads"}) if self.is_sample else "control"
        if verdict == "accepted" and self.flags:
            verdict = "flagged"
        return {
            **self.acquired,
            "batch": self.sheet.batch,
            "sample_id": self.sheet.sample_id,
            "review": self.review,
            "reviewer_remark": self.remark,
            "verdict": verdict,
            "flags": _joined(self.flags),
            "reason": self._because(self.flags) if verdict == "rejected" else None,
        }

    def _verdict(self, flags: set[str]) -> str:
        return verdict_of(flags, self.rules, REJECTING)

    def _because(self, flags: set[str]) -> str:
        """Say in words what rejects."""
        grave = sorted(f for f in flags if self._verdict({f}) == "rejected")
        return "; ".join(f"{FLAGS.get(f) or QUANTITIES.get(f) or f}{self._beyond(f)}" for f in grave)

    def _beyond(self, flag: str) -> str:
        return f" (allowed: {self.rules.allowed(flag)})" if flag in QUANTITIES else ""

    # --- its populations --------------------------------------------------------------------

    def _count(self, name: str, population: Population) -> Counted:
        sample = self.sample
        row: dict[str, Any] = {
            "tube": self.tables.file_id,
            "sample_id": self.sheet.sample_id if self.is_sample else None,
            **{
                c: sample.get(c) if self.is_sample else None
                for c in ("subject_id", "matrix", "infusion", "day", "visit")
            },
            "population": name,
            "analyte": population.analyte or None,
            "assay": self.acquired["assay"],
            "gate": population.gate,
            "source_sha256": self.acquired["source_sha256"],
        } | dict.fromkeys(_NUMBERS)
        counted = Counted(population, row)
        gate, problem = self._find(population.gate)
        if gate is None:
            return self._without(counted, "gate_not_estimable", problem)
        row["gate"] = gate["gate"]
        of, of_problem = self._find(population.of) if population.of else (self.gates.get(gate["parent"]), "")
        row["of"] = None if of is None else of["gate"]
        row["events"] = events = gate["events"]
        if events is None:
            reason = gate["reason"] or "the gate could not be set"
            return self._without(counted, self._why_unset(reason), reason)
        if population.of and of is None:
            counted.reasons["%"] = of_problem
        else:
            row["of_events"] = self.acquired["gated_events"] if of is None else of["events"]
        below_empty = gate["parent_events"] == 0
        if below_empty and not self._bounded(population, gate):
            row["events"] = None
            return self._without(counted, "missing_events", FLAGS["missing_events"])
        self._share(counted)
        # None of many events of another gate is an ordinary zero.
        if below_empty and "%" in counted.reasons:
            counted.flags.add("missing_events")
        self._absolute(counted)
        if self.is_sample:
            self._limits(counted)
        return counted

    def _bounded(self, population: Population, gate: Row) -> bool:
        """Say whether a gate below an empty one is known to be empty too, so that cells/uL have a bound.

        The first gate on the way with too few events to be detected asks many events for cells that have
        its markers, or is a reported population: where B cells are not detected among many lymphocytes,
        naive B cells are not either. But a tube without lymphocytes says nothing of B cells, nor one
        without T cells of CAR-T cells.
        """
        few = self.settings.limits.min_events_lod
        first = next(g for g in way_to(self.gates, gate["gate"]) if g["events"] < few)
        own = self.panel.gates.get(first["name"])
        positive = own is not None and set(own.where.values()) == {"above"}
        if population.is_car:
            positive = positive and self.panel.car_marker in markers_of(first)
        reported = any(p.analyte and self._find(p.gate)[0] is first for p in self.panel.populations.values())
        enough = first["parent_events"] >= self.settings.min_gate_events
        return bool(enough and (positive or reported))

    def _find(self, text: str) -> tuple[Row | None, str]:
        """Return the gate that a panel file names, or why there is none."""
        found = [g for path, g in self.gates.items() if text in {g["name"], path, path.replace(" / ", "/")}]
        if len(found) == 1:
            return found[0], ""
        return None, f"{len(found) or 'no'} gates are called {quote(text)}"

    def _why_unset(self, reason: str) -> str:
        """Return the flag of a gate that is not set: its marker can't be read, or else."""
        told = [r for r in records(self.tables.qc) if r["check"] == "unreadable_staining"]
        unreadable = any(f"{r['source_column']} can't be read" in reason for r in told)
        return "unreadable_staining" if unreadable else "gate_not_estimable"

    def _without(self, counted: Counted, flag: str, reason: str) -> Counted:
        """Leave a population without a number."""
        counted.flags.add(flag)
        counted.row["reason"] = plain(reason, 400)
        if self.is_sample:
            verdict = "fail" if counted.population.analyte else "note"
            self._note(flag, verdict, counted.row, f"no count: {plain(reason, 400)}")
        return counted

    def _share(self, counted: Counted) -> None:
        """Fill in the percentage of a gate with its exact interval."""
        row = counted.row
        events, of = row["events"], row["of_events"]
        if "%" in counted.reasons:
            return
        if not of:
            counted.reasons["%"] = (
                "no event of the gate that % is of" if of == 0 else "the gate that % is of has no count"
            )
        elif events > of:
            counted.reasons["%"] = "more events than the gate that % is of"
        else:
            low, high = share_interval(events, of, self.settings.confidence)
            counted.per_event["%"] = 100 / of
            row |= {
                "percent": 100 * events / of,
                "percent_lower": 100 * float(low),
                "percent_upper": 100 * float(high),
            }

    def _absolute(self, counted: Counted) -> None:
        """Fill in cells/uL by each way; the first one counts, and the further ones are held against it."""
        row, population = counted.row, counted.population
        gate, problem = self._find(population.blood_count_gate) if population.blood_count_gate else (None, "")
        blood = by_blood_count(
            self.sheet, population, row["events"], gate["events"] if gate else None, row["matrix"]
        )
        if problem:
            blood = Way("blood_count", reason=problem)
        by_name = {"beads": self.beads, "volume": self.volume, "blood_count": blood}
        ways = [by_name[name] for name in self.settings.absolute_from]
        for way in ways:
            if not math.isnan(way.scale):
                row[f"cells_per_ul_{way.method}"] = way.per_event * row["events"]
        first = next((w for w in ways if not math.isnan(w.scale)), None)
        if first is None:
            counted.reasons["cells/uL"] = "; ".join(w.reason for w in ways)
            return
        low, high = first.interval(row["events"], self.settings.confidence)
        counted.per_event["cells/uL"] = first.per_event
        row |= {
            "count_method": first.method,
            "cells_per_ul": first.per_event * row["events"],
            "cells_per_ul_lower": low,
            "cells_per_ul_upper": high,
        }
        if first.method == "beads" and "beads" in self.flags:
            counted.absolute_flags.add("beads")
        for pair in agreements(ways):
            finding = self.rules.finding(
                "count_agreement",
                pair.ratio,
                self.tables.file_id,
                f"cells/uL by {_words(pair.first)} are {pair.ratio:.3g} times those by {_words(pair.other)}",
            )
            if self.rules.broken("count_agreement", pair.ratio):
                counted.absolute_flags.add("count_agreement")
            # One for the tube, not for each population: they share beads, volume and mostly the blood count.
            if self.is_sample and finding not in self.findings:
                self.findings.append(finding)

    def _limits(self, counted: Counted) -> None:
        """Fill in background, limits and detection."""
        row, settings = counted.row, self.settings
        background = background_of(
            counted.population,
            row["gate"],
            self.panel,
            self.gates,
            self.background,
            probability=settings.limits.blank_probability,
        )
        limits = limits_of(background, settings.limits)
        expected = 0.0
        if background is not None:
            expected = background.expected
            row |= {
                "background_percent": 100 * background.share,
                "background_events": expected,
                "background_source": ";".join(background.controls),
                "lob_events": limits.lob,
            }
            if background.disagree:
                self._note("controls_disagree", "warn", row, background.disagree)
            if settings.limits.min_events_lod <= row["events"] <= limits.lob:
                text = f"{row['events']} events, and the limit of blank is {limits.lob:g}"
                self._note("below_background", "note", row, text)
            if settings.subtract_background:
                self._subtract(counted, background)
        elif counted.population.is_car:
            counted.flags.add("background_unknown")
        counted.detected = detected = detect(row["events"], expected, limits)
        row |= {"lod_events": limits.lod, "lloq_events": limits.lloq, "detection": detected.detection}
        if "%" in counted.per_event and row["of_events"] < limits.lod:
            counted.reasons["%"] = (
                f"{row['of_events']} events of the gate that % is of, fewer than the LOD of {limits.lod:.3g}"
            )
            del counted.per_event["%"]
        for unit, suffix in (("%", "percent"), ("cells/uL", "cells_per_ul")):
            if unit in counted.per_event:
                row[f"lod_{suffix}"] = limits.lod * counted.per_event[unit]
                row[f"lloq_{suffix}"] = limits.lloq * counted.per_event[unit]

    def _subtract(self, counted: Counted, background: Background) -> None:
        """Take the background off; the limits of both are taken at their worst, so that the interval is rather too wide."""
        low, high = background.expected_interval(self.settings.confidence)
        row = counted.row
        of = 100 / row["of_events"] if row["percent"] is not None else 0.0
        names = [("percent", of), ("cells_per_ul", counted.per_event.get("cells/uL", 0.0))]
        left = max(1 - background.expected / row["events"], 0.0) if row["events"] else 0.0
        for method in COUNT_METHODS:
            if row[f"cells_per_ul_{method}"] is not None:
                row[f"cells_per_ul_{method}"] *= left
        for name, per_event in names:
            for column, off in ((name, background.expected), (f"{name}_lower", high), (f"{name}_upper", low)):
                if row[column] is not None:
                    row[column] = max(row[column] - off * per_event, 0.0)

    # --- verdicts and results ---------------------------------------------------------------

    def finish(self) -> None:
        """Put the flags of the tube on its populations, and judge them."""
        whole = self.flags - {"beads", "no_review"}
        for counted in self.counted:
            if not self.is_sample:
                counted.row |= {"verdict": "control", "flags": None}
                continue
            counted.flags |= whole
            if counted.population.is_car:
                counted.flags |= self.flags & {"no_review"}
            flags = counted.flags | (
                counted.absolute_flags if "cells/uL" in counted.population.reported_units else set()
            )
            counted.row["flags"] = _joined(flags)
            if counted.row["events"] is None:
                counted.row["verdict"] = "rejected"
                continue
            counted.row["verdict"] = self._verdict(flags)
            wanted = [
                f"{u}: {counted.reasons[u]}"
                for u in counted.population.reported_units
                if u in counted.reasons
            ]
            because = [self._because(flags)] if counted.row["verdict"] == "rejected" else []
            counted.row["reason"] = plain("; ".join([*because, *wanted]), 400) or None

    def later_findings(self) -> Iterator[dict[str, object]]:
        """Tell units that can't be told, and CAR counts whose background nobody knows."""
        unknown = [c.row["population"] for c in self.counted if "background_unknown" in c.flags]
        base: dict[str, object] = {"source_file": self.tables.file_id}
        if unknown:
            yield base | {
                "check": "background_unknown",
                "verdict": "warn",
                "value": ", ".join(unknown),
                "message": f"{FLAGS['background_unknown']}; only the number of events says what is detected",
                "suggestion": "add an FMO or isotype tube of the batch to the tubes sheet",
            }
        for counted in self.counted:
            row = counted.row
            if not self.is_sample or row["events"] is None:
                continue
            if "missing_events" in counted.flags:
                share = ", and no percentage" if "%" in counted.reasons else ""
                self._note("missing_events", "warn", row, f"{FLAGS['missing_events']}: not detected{share}")
            for unit in (u for u in counted.population.reported_units if u in counted.reasons):
                verdict = "note" if counted.units else "warn"
                text = f"no result in {unit}: {plain(counted.reasons[unit], 400)}"
                self._note("unit_not_estimable", verdict, row, text, unit)
        yield from self._of_populations()

    def results(self) -> Iterator[dict[str, object]]:
        """Make one row for each population and unit that has a number."""
        for counted in self.counted:
            row = counted.row
            for unit in counted.units:
                detected, per_event = counted.detected, counted.per_event[unit]
                assert detected is not None
                suffix = "percent" if unit == "%" else "cells_per_ul"
                quantified = detected.detection == "quantified"
                value = row[suffix]
                most = 100.0 if unit == "%" else math.inf
                flags = counted.flags | (counted.absolute_flags if unit == "cells/uL" else set())
                yield {
                    "sample_id": row["sample_id"],
                    "matrix": row["matrix"],
                    "analyte": row["analyte"],
                    "assay": row["assay"],
                    "value": value if quantified else None,
                    "unit": unit,
                    "detection": detected.detection,
                    "censoring": "none" if quantified else "left",
                    "lower": value if quantified else min(detected.lower * per_event, most),
                    "upper": value if quantified else min(detected.upper * per_event, most),
                    "lod": row[f"lod_{suffix}"],
                    "lloq": row[f"lloq_{suffix}"],
                    "n_replicates": 1,
                    "status": self._verdict(flags),
                    "flags": _joined(flags),
                    "source_file": row["tube"],
                    "source_row": 1,
                    "source_column": row["population"],
                    "source_sha256": row["source_sha256"],
                }

    @cached_property
    def car_gates(self) -> list[CarGate]:
        """Gates that divide CAR+ from the rest, once each, where they have events to divide."""
        found: dict[str, CarGate] = {}
        for counted in self.counted:
            if not counted.population.is_car or counted.row["events"] is None:
                continue
            way = way_to(self.gates, counted.row["gate"])
            gate = next((g for g in way if self.panel.car_marker in markers_of(g)), way[-1])
            if gate["events"] is not None and gate["parent_events"]:
                name = str(gate["gate"])
                found[name] = CarGate(self.tables.file_id, name, gate["events"], gate["parent_events"])
        return list(found.values())


_NUMBERS = (
    *(c.name for c in POPULATIONS.columns if c.kind == "number" and c.name != "day"),
    *("of", "events", "of_events", "count_method", "background_source", "detection", "reason"),
)
"""Columns of POPULATIONS that are filled in where they can be."""


def _joined(flags: set[str]) -> str | None:
    return ";".join(sorted(flags)) or None


def _words(method: str) -> str:
    return {"beads": "counting beads", "volume": "acquired volume", "blood_count": "blood count"}[method]
