"""The configuration: typed, documented, and the one source of the defaults.

``config/default.yaml``, ``workflow/schemas/config.schema.json`` and the table in
docs/config.md are generated from these models (``make fix``) and tested for
drift. Every threshold has a default, a meaning and a source. Threads and memory
are no matter of science and live in profiles/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cartrace.analytes import ANALYTES, DEPLETION, EXPANSION
from cartrace.cells.settings import Cells
from cartrace.intake.inbox_settings import Inbox  # noqa: TC001 - pydantic needs it at run time
from cartrace.problems import Problem, did_you_mean, raise_if_any
from cartrace.repertoire.settings import Repertoire
from cartrace.safety.vocabulary import ITEMS
from cartrace.section import Section
from cartrace.validation import problem_of
from cartrace.vocabulary import EVENT_KINDS, MATRICES


def _compiles(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    return value


def _path(value: str) -> str:
    if not value.isprintable() or set(value) & set("<>{}"):
        raise ValueError("a path in printable letters without < > { }, which Snakemake takes for its own")
    return value


_Regex = Annotated[str, AfterValidator(_compiles)]


class Trial(Section):
    """What the report calls the trial."""

    title: str = Field("CAR-T trial", description="Title of the report.")
    description: str = Field("", description="One or two sentences under the title.")


class Sheets(Section):
    """Where the sheets are, relative to the trial folder."""

    subjects: str | None = Field(
        "sheets/subjects.tsv", description="Subjects; null with single_infusion: those found in the tables."
    )
    products: str | None = Field("sheets/products.tsv", description="Products: construct, target, vector.")
    infusions: str | None = Field("sheets/infusions.tsv", description="Infusions; null with single_infusion.")
    samples: str | None = Field(
        None, description="Samples; null when the laboratory's tables carry matrix and day themselves."
    )
    files: str = Field("sheets/files.tsv", description="Laboratory files to read.")
    extractions: str | None = Field(
        None,
        description="DNA extractions, for PCR plates: mass of DNA, volumes, white-cell counts; null when none.",
    )
    tubes: str | None = Field(
        None,
        description="Flow tubes, for FCS files: sample or control, batch, beads, volumes, blood counts; null when none.",
    )
    gate_review: str | None = Field(
        None, description="What a reviewer says of the gates of each flow tube; null when none."
    )
    events: str | None = Field(
        None, description="Events: immunoglobulin doses, drugs, relapses, responses, death; null when none."
    )
    libraries: str | None = Field(
        None,
        description="Single-cell libraries: sample, chemistry, count matrices, reads, contigs, sorting; null when none.",
    )
    integration_sites: str | None = Field(
        None,
        description="Integration sites of the vector: sample, table or BAM, cell type; null when none.",
    )
    observations: str | None = Field(
        None,
        description="Bedside observations: temperature, pressors, oxygen, ICE score, seizures, the clinician's grades; null "
        "when none.",
    )

    @field_validator("*")
    @classmethod
    def _inside(cls, sheet: str | None) -> str | None:
        if sheet is not None and (PurePosixPath(sheet).is_absolute() or ".." in PurePosixPath(sheet).parts):
            raise ValueError("a path inside the trial folder")
        return sheet if sheet is None else _path(sheet)


class SingleInfusion(Section):
    """For tables without sheets: every subject had one infusion, on day 0."""

    product: str = Field(description="Name of the product that all subjects received.")
    target: str = Field("", description="Target of the product.")
    vector: Literal["lentiviral", "gammaretroviral", "transposon", "mrna", "unknown"] = Field(
        "unknown", description="How the CAR gene is carried; an mRNA product leaves no transgene DNA."
    )


class Visit(Section):
    """A nominal visit, and the days that still count as it."""

    name: str = Field(description="Name as the sheets and tables write it.")
    day: float = Field(description="Nominal day from infusion.")
    window: float = Field(description="Days on either side that still belong to the visit.", ge=0)


class Privacy(Section):
    """What may appear in outputs and logs."""

    dates_in_file_names: Literal["refuse", "allow"] = Field(
        "refuse",
        description="File names appear in Snakemake's log; one that holds a calendar date is refused.",
    )


class Plausibility(Section):
    """Checks over the rows of the laboratory's tables. Findings are reported, never applied."""

    ratio_tolerance: float = Field(
        0.02,
        gt=0,
        description="Relative deviation from the laboratory's own ratio of two units that is reported, "
        "beyond what rounding of the cell explains. Source: none published; house value.",
    )
    power_of_ten_tolerance: float = Field(
        0.15,
        gt=0,
        description="Relative tolerance within which a ratio counts as off by 10, 100 or 1000. House value.",
    )
    duplicate_tolerance: float = Field(
        0.3,
        gt=0,
        description="Relative difference (max/min - 1) of two results of one sample above which they disagree. "
        "House value, above the 25 % CV of the GMO rule (PMC8282960, table 2).",
    )
    neighbour_fold: float = Field(
        20.0,
        gt=1,
        description="A value this many times above or below both neighbours in time is reported, with the "
        "neighbouring visit that it would fit. House value.",
    )
    visit_window_default: float = Field(
        7.0,
        ge=0,
        description="Days around a nominal visit that has no window of its own. Source: reference 1.5.",
    )


class Blq(Section):
    """What happens to results that are not quantifiable, by position in the course.

    ``keep`` uses 0 (PKNCA's leading and trailing rule), ``drop`` leaves the point
    out, ``half_lloq`` uses half the limit, a number is used as it stands.
    """

    by: Literal["quantifiable", "tmax"] = Field(
        "quantifiable",
        description="Position by the first and last quantifiable result, or before and after Tmax.",
    )
    before_first: Literal["keep", "drop", "half_lloq"] | float = Field(
        "keep", description="Before the first quantifiable result (PKNCA default: keep)."
    )
    between: Literal["keep", "drop", "half_lloq"] | float = Field(
        "drop", description="Between the first and the last quantifiable result (PKNCA default: drop)."
    )
    after_last: Literal["keep", "drop", "half_lloq"] | float = Field(
        "keep", description="After the last quantifiable result (PKNCA default: keep)."
    )
    before_tmax: Literal["keep", "drop", "half_lloq"] | float = Field("keep", description="With by: tmax.")
    after_tmax: Literal["keep", "drop", "half_lloq"] | float = Field("drop", description="With by: tmax.")


class HalfLife(Section):
    """The terminal phase."""

    rule: Literal["pknca", "winnonlin"] = Field(
        "pknca",
        description="pknca: most points among the windows within adj_r2_factor of the best adjusted r2 over all "
        "windows, and lambda_z > 0; winnonlin: the same among declining windows only.",
    )
    min_points: int = Field(3, ge=3, description="Fewest points of a window (PKNCA min.hl.points).")
    allow_tmax: bool = Field(
        False, description="May the window begin at Tmax (PKNCA allow.tmax.in.half.life)?"
    )
    adj_r2_factor: float = Field(
        1e-4, ge=0, description="Tolerance on adjusted r2 (PKNCA adj.r.squared.factor)."
    )
    min_adj_r2: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Below this the half-life is not estimable (aNCA's default R2ADJ flag; PKNCA flags r2 0.9).",
    )
    min_span_ratio: float = Field(
        1.0,
        ge=0,
        description="Window length in half-lives below which the half-life is not estimable. PKNCA flags 2; "
        "CAR-T terminal phases are long against follow-up, so 1 is the house value.",
    )
    tobit: bool = Field(
        True,
        description="Also fit the terminal phase with results below a limit as left-censored (PKNCA PR 529).",
    )


class Auc(Section):
    """Areas under the course."""

    method: Literal["linear", "lin_up_log_down", "lin_log"] = Field(
        "lin_up_log_down", description="Trapezoidal rule (PKNCA's default; TcellNCA for T cells)."
    )
    windows: tuple[tuple[float, float], ...] = Field(
        ((0, 7), (0, 14), (0, 28), (0, 84), (0, 90), (0, 180)), description="Partial areas, in days."
    )
    extrapolation: Literal["none", "to_first_blq", "lambda_z"] = Field(
        "none", description="Beyond the last quantifiable result: nothing, a triangle, or the terminal phase."
    )
    start: Literal["zero", "none"] = Field(
        "zero",
        description="Value at day 0 where no sample was taken then: 0, or no area before the first sample.",
    )
    max_extrapolated_percent: float = Field(
        20.0,
        ge=0,
        le=100,
        description="Extrapolated share above which AUC to infinity is not estimable (aNCA).",
    )
    min_points: int = Field(
        2,
        ge=0,
        description="Fewest results, the imputed start not counted, that must lie inside a window (or up to Tlast, "
        "for AUC to last, all and infinity, AUMC, MRT) for an area to be reported. House value; PKNCA flags "
        "max.missing.",
    )

    @field_validator("windows")
    @classmethod
    def _ordered(cls, windows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for start, end in windows:
            if not 0 <= start < end:
                raise ValueError(f"a window needs 0 <= start < end, not [{start:g}, {end:g}]")
        if len(set(windows)) != len(windows):
            raise ValueError("a window is listed twice")
        return windows


class Landmark(Section):
    """A day at which persistence is asked for."""

    name: str = Field(description="Name, as M6.", pattern=r"^[A-Za-z0-9]+$")
    day: float = Field(gt=0, description="Nominal day.")
    window: float = Field(ge=0, description="Days on either side within which a sample answers for it.")


class Persistence(Section):
    """How long the cells were there."""

    confirm_blq: Literal[1, 2] = Field(
        1, description="Consecutive unquantifiable results that make a loss (users ask for 2: aNCA #994)."
    )
    loss_below: Literal["quantification", "detection"] = Field(
        "quantification",
        description="Does a result between detection and quantification count as lost?",
    )
    landmarks: tuple[Landmark, ...] = Field(
        (
            Landmark(name="M1", day=28, window=7),
            Landmark(name="M3", day=84, window=14),
            Landmark(name="M6", day=180, window=30),
            Landmark(name="M12", day=365, window=45),
        ),
        description="Landmarks. M3 = day 84 as in TcellNCA; M6 = 168 there, 180 in the NMOSD trial's words.",
    )


class Stein(Section):
    """The piecewise model of Stein 2019 (CPT Pharmacometrics Syst Pharmacol)."""

    enabled: bool = Field(True, description="Fit it to each course?")
    min_points: int = Field(5, ge=4, description="Fewest quantifiable results for a fit.")
    max_relative_se: float = Field(
        0.5, gt=0, description="Standard error on the log scale above which a parameter is not identifiable."
    )


class Kinetics(Section):
    """Non-compartmental analysis, expansion and decline, persistence."""

    blq: Blq = Field(default_factory=Blq)
    auc: Auc = Field(default_factory=Auc)
    half_life: HalfLife = Field(default_factory=HalfLife)
    persistence: Persistence = Field(default_factory=Persistence)
    stein: Stein = Field(default_factory=Stein)
    post_infusion_visits: _Regex = Field(
        r"(?i)\bpost\b",
        description="Regular expression: a day-0 sample whose visit matches was taken after the infusion; "
        "every other day-0 sample is a baseline.",
    )


class ResponseGroup(Section):
    """Response categories that are one group in the rank tests."""

    name: str = Field(description="Name of the group, as 'VGPR or better'.", min_length=1)
    labels: tuple[str, ...] = Field(
        description="Labels of the events sheet that belong to it; case does not count.", min_length=1
    )


class Response(Section):
    """Which responses of the events sheet are compared, and how they are grouped."""

    day: float = Field(
        90, gt=0, description="Study day at which the response is asked for. House value: month 3."
    )
    window: float = Field(
        30, ge=0, description="Days on either side; the response nearest to the day answers. House value."
    )
    groups: tuple[ResponseGroup, ...] = Field(
        (ResponseGroup(name="VGPR or better", labels=("sCR", "CR", "nCR", "VGPR")),),
        description="Groups of response categories. Default: very good partial response or better (IMWG) "
        "against the rest; another disease needs its own words.",
    )
    rest: str | None = Field(
        "other response", description="Group of every other label; null leaves such subjects out."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Response:
        names = [group.name for group in self.groups] + ([self.rest] if self.rest is not None else [])
        labels = [label.strip().casefold() for group in self.groups for label in group.labels]
        for listed, what in ((names, "group name"), (labels, "label")):
            for repeated in sorted({x for x in listed if listed.count(x) > 1}):
                raise ValueError(f"the {what} '{repeated}' is listed twice")
        if len(names) < 2:
            raise ValueError("a comparison needs two groups: name another one, or the rest")
        return self


class Relapse(Section):
    """Who counts as relapsed."""

    kinds: tuple[Literal["relapse", "progression"], ...] = Field(
        ("relapse", "progression"), min_length=1, description="Kinds of the events sheet that count."
    )
    by_day: float = Field(
        180,
        gt=0,
        description="Relapsed up to this study day, or not; without a relapse, a subject whose follow-up ended "
        "earlier is left out, since nobody knows. House value: half a year.",
    )


class Association(Section):
    """Rank tests of expansion against depletion, antibodies, response and relapse."""

    expansion: tuple[str, ...] = Field(
        ("cmax", "auc_0_28"), description="Metrics of every expansion course that are compared."
    )
    depletion: tuple[str, ...] = Field(
        (
            "nadir",
            "log10_fall",
            "depletion_duration",
            "time_to_reconstitution_threshold",
            "time_to_reconstitution_baseline",
        ),
        description="Depletion metrics that they are compared with.",
    )
    depletion_analytes: tuple[str, ...] = Field(
        ("b_cells", "plasma_cells", "soluble_bcma"),
        description="Analytes whose depletion is compared. Every further one weakens all others, since the "
        "correction is for all questions of a family.",
    )
    antibody: tuple[str, ...] = Field(
        ("log2_fall", "time_to_seronegative", "antibody_half_life"),
        description="Antibody metrics that they are compared with, for every antibody.",
    )
    min_pairs: int = Field(
        5,
        ge=4,
        description="Fewest subjects with both values. Source: reference 1.5 (Spearman only with at least 5 "
        "matched subjects).",
    )
    min_group: int = Field(2, ge=2, description="Fewest subjects of a group in a rank test. House value.")
    censored: Literal["ranks", "leave_out"] = Field(
        "ranks",
        description="A value known only as an interval is ranked by the pairs whose order is certain (Mantel "
        "1967, Biometrics 23:65), or left out. Leaving out drops every duration, which sampling days make an "
        "interval, and the deepest nadirs, which lie below the limit of detection.",
    )
    permutation_up_to: int = Field(
        50,
        ge=0,
        description="Subjects up to which p comes from permutations; above, from the limit distribution.",
    )
    permutations: int = Field(
        9999,
        ge=99,
        description="Rearrangements for a p value; all of them (an exact p) where there are no more than these.",
    )
    response: Response = Field(default_factory=Response)
    relapse: Relapse = Field(default_factory=Relapse)

    @field_validator("depletion_analytes")
    @classmethod
    def _depleted(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in DEPLETION:
                raise ValueError(f"'{name}' gets no depletion metrics; allowed: {', '.join(DEPLETION)}")
        return names


class AntibodyRule(Section):
    """What holds for one antibody, where it differs from the rest."""

    analyte: str = Field(description="Antibody (cartrace.analytes).")
    unit: str | None = Field(None, description="Unit that it holds for; null: every unit of this antibody.")
    titre_step: float | None = Field(
        None,
        ge=1,
        description="Dilution step of its titres; 1 for interpolated titres (NT50), which are plain numbers.",
    )
    positive_from: float | None = Field(
        None,
        gt=0,
        description="Lowest positive result, in the unit of the course, where the laboratory's cut-off lies above "
        "its lower limit of quantification.",
    )

    @field_validator("analyte")
    @classmethod
    def _antibody(cls, value: str) -> str:
        from cartrace.analytes import ANTIBODY

        if value not in ANTIBODY:
            near = did_you_mean(value, ANTIBODY)
            raise ValueError(f"one of {', '.join(ANTIBODY)}" + (f" (did you mean '{near}'?)" if near else ""))
        return value


class AntibodyHalfLife(Section):
    """The decline of one subject's antibody."""

    start: Literal["maximum", "infusion", "baseline"] = Field(
        "maximum",
        description="The phase begins at the highest result after infusion, at the first one after infusion, or at "
        "the baseline.",
    )
    end: Literal["last", "nadir"] = Field(
        "last",
        description="Without a confirmed seronegativity, which always ends it, the phase ends at the last result, "
        "or at the nadir.",
    )
    min_points: int = Field(
        3,
        ge=3,
        description="Fewest results of the phase. Two of them must be neither below nor above a limit.",
    )
    min_sd_steps: float = Field(
        0.5,
        gt=0,
        description="Smallest standard deviation of a titre, in dilution steps: repeats of a titration agree "
        "within one step. House value.",
    )
    min_cv_percent: float = Field(
        10.0,
        gt=0,
        description="Smallest coefficient of variation of other units. House value; ICH M10 accepts up to 20 %.",
    )


class AntibodyPopulation(Section):
    """One exponential decay over all subjects, with random effects."""

    enabled: bool = Field(True, description="Fit it?")
    rate: Literal["normal", "log_normal"] = Field(
        "normal",
        description="Distribution of the subjects' rates: normal lets a subject rise and always has one maximum to "
        "find; log_normal does not let it (Bottino 2021, Antib Ther 4:144).",
    )
    titres_as_intervals: bool = Field(
        True, description="Does a titre enter as the interval of its dilution step, or as its end point?"
    )
    start_day: float = Field(
        0.0, ge=0, description="First day that enters; the time of the model is the day."
    )
    end_day: float | None = Field(None, gt=0, description="Last day that enters; null: all.")
    min_subjects: int = Field(
        5, ge=3, description="Fewest subjects with two or more results. House value, as for associations."
    )
    nodes: int = Field(
        5,
        ge=1,
        le=31,
        description="Nodes of the adaptive Gauss-Hermite quadrature in each direction; log_normal "
        "rates that differ much between subjects need 9 or more.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> AntibodyPopulation:
        if self.end_day is not None and self.end_day <= self.start_day:
            raise ValueError("end_day must lie after start_day")
        return self


class AntibodyMeans(Section):
    """Mean level and change of an antibody over subjects at each visit."""

    enabled: bool = Field(True, description="Estimate them?")
    min_n: int = Field(
        5,
        ge=3,
        description="Fewest subjects. In simulations (tests/unit/antibody/test_interval_mean.py) the limits keep to 95 % "
        "from 3 on, but with 3 subjects and half of them negative the mean is 0.5 to 1 log2 too high. House value.",
    )
    max_beyond_percent: float = Field(
        50.0,
        ge=0,
        lt=100,
        description="Largest share of results on one side of a limit, %. With more the mean would lie beyond all that was "
        "measured, and only the assumed normal distribution would say where. As aNCA issue 1323.",
    )


class Antibody(Section):
    """Decline of antibodies."""

    titre_step: float = Field(
        2.0,
        ge=1,
        description="Dilution step: an end-point titre of 40 means a titre in [40, 80). Two-fold dilutions are usual.",
    )
    rules: tuple[AntibodyRule, ...] = Field((), description="Antibodies with a step or cut-off of their own.")
    confirm_negative: int = Field(
        2,
        ge=1,
        description="Consecutive negative results, with the same starting dilution, that make a subject "
        "seronegative. House value.",
    )
    confirm_positive: int = Field(
        1,
        ge=1,
        description="Consecutive positive results that make a seronegative subject positive again. House value.",
    )
    fold: float = Field(
        4.0,
        gt=1,
        description="Fall, or rise after the nadir, that counts: four-fold, two steps of a two-fold dilution [recalled].",
    )
    landmarks: tuple[Landmark, ...] = Field(
        (
            Landmark(name="M1", day=28, window=7),
            Landmark(name="M3", day=84, window=14),
            Landmark(name="M6", day=180, window=30),
            Landmark(name="M12", day=365, window=45),
        ),
        description="Days at which fall and seronegativity are asked for; as for persistence.",
    )
    half_life: AntibodyHalfLife = Field(default_factory=AntibodyHalfLife)
    population: AntibodyPopulation = Field(default_factory=AntibodyPopulation)
    means: AntibodyMeans = Field(default_factory=AntibodyMeans)
    post_infusion_visits: _Regex = Field(
        r"(?i)\bpost\b",
        description="Regular expression: a day-0 sample whose visit matches was taken after the infusion; "
        "every other day-0 sample is a baseline.",
    )

    @field_validator("rules")
    @classmethod
    def _once(cls, rules: tuple[AntibodyRule, ...]) -> tuple[AntibodyRule, ...]:
        named = [(r.analyte, r.unit) for r in rules]
        if len(set(named)) != len(named):
            raise ValueError("an antibody and unit is listed twice")
        return rules


class DepletionRule(Section):
    """When one analyte counts as depleted, and what is normal for it."""

    analyte: str = Field(description="Analyte of the family that an anti-B-lineage product takes away.")
    unit: str | None = Field(
        None,
        description="Unit of threshold and lower_limit_of_normal; also holds for courses in an exactly convertible "
        "unit. Null: any unit without a rule of its own.",
    )
    kind: Literal["absolute", "percent_of_baseline", "not_detected", "not_quantifiable"] = Field(
        description="absolute: below threshold, in unit (in %: of the cells that the laboratory counts as 100 %); "
        "percent_of_baseline: below threshold percent of the baseline; not_detected, not_quantifiable: below that limit."
    )
    threshold: float | None = Field(None, gt=0, description="For absolute and percent_of_baseline.")
    lower_limit_of_normal: float | None = Field(None, gt=0, description="In unit; null: not known.")
    source: str = Field("", description="Where the numbers come from.")

    @model_validator(mode="after")
    def _complete(self) -> DepletionRule:
        if self.analyte not in DEPLETION:
            raise ValueError(f"'{self.analyte}' gets no depletion metrics; known: {', '.join(DEPLETION)}")
        needs = self.kind in {"absolute", "percent_of_baseline"}
        if needs != (self.threshold is not None):
            raise ValueError(f"{self.kind} {'needs a' if needs else 'takes no'} threshold")
        if self.kind == "percent_of_baseline" and self.threshold is not None and self.threshold > 100:
            raise ValueError("a threshold above 100 % of the baseline makes the baseline itself depleted")
        if self.unit is None and (self.kind == "absolute" or self.lower_limit_of_normal is not None):
            raise ValueError("a threshold or a lower limit of normal needs its unit")
        if self.unit is not None and self.unit not in ANALYTES[self.analyte].units:
            allowed = ", ".join(ANALYTES[self.analyte].units)
            raise ValueError(f"'{self.unit}' is no unit of {self.analyte}; known: {allowed}")
        return self


class Mask(Section):
    """Events after which an analyte says nothing about the subject's own."""

    kind: str = Field("ivig", description=f"Kind of the event: {', '.join(EVENT_KINDS)}.")
    analytes: tuple[str, ...] = Field(("igg",), description="What it masks.")
    days: float = Field(28, ge=0, description="Days after the last day of the event that are masked.")

    @model_validator(mode="after")
    def _known(self) -> Mask:
        if self.kind not in EVENT_KINDS:
            raise ValueError(f"'{self.kind}' is no kind of event; known: {', '.join(EVENT_KINDS)}")
        if unknown := [a for a in self.analytes if a not in DEPLETION]:
            raise ValueError(f"'{unknown[0]}' gets no depletion metrics; known: {', '.join(DEPLETION)}")
        return self


class Depletion(Section):
    """Depth and length of depletion, and reconstitution."""

    rules: tuple[DepletionRule, ...] = Field(
        (
            DepletionRule(
                analyte="b_cells",
                unit="cells/uL",
                kind="absolute",
                threshold=20,
                lower_limit_of_normal=100,
                source="20: droracle.ai, a weak source; 50 is in use too [recalled]; lower limit of normal "
                "[recalled]. No definition is agreed on.",
            ),
            DepletionRule(
                analyte="b_cells",
                unit="%",
                kind="absolute",
                threshold=3,
                source="3 % of lymphocytes [recalled, tisagenlecleucel].",
            ),
            DepletionRule(
                analyte="igg",
                unit="g/L",
                kind="absolute",
                threshold=4,
                lower_limit_of_normal=7,
                source="Severe hypogammaglobulinaemia and lower limit of normal [recalled].",
            ),
            DepletionRule(
                analyte="iga",
                unit="g/L",
                kind="percent_of_baseline",
                threshold=10,
                lower_limit_of_normal=0.7,
                source="10 %: house value; lower limit of normal [recalled].",
            ),
            DepletionRule(
                analyte="igm",
                unit="g/L",
                kind="percent_of_baseline",
                threshold=10,
                lower_limit_of_normal=0.4,
                source="10 %: house value; lower limit of normal [recalled].",
            ),
        ),
        description="Definitions of depletion by analyte and unit. [recalled]: not read in a source, check it.",
    )
    otherwise_percent_of_baseline: float = Field(
        10.0,
        gt=0,
        le=100,
        description="Definition for courses without a rule: below this percentage of the baseline. House value.",
    )
    confirm_onset: int = Field(
        1, ge=1, description="Consecutive depleted results that make a depletion. House value."
    )
    confirm_end: int = Field(
        2,
        ge=1,
        description="Consecutive results above that end a depletion or make a reconstitution, so that a flicker "
        "does not. House value; 1 for trials with few visits.",
    )
    baseline_fraction: float = Field(
        1.0,
        gt=0,
        description="Fraction of the baseline that makes a reconstitution. Source: 'back to baseline' in Blood Adv "
        "2021;5(23):5290.",
    )
    landmarks: tuple[Landmark, ...] = Field(
        (
            Landmark(name="M1", day=28, window=7),
            Landmark(name="M3", day=84, window=14),
            Landmark(name="M6", day=180, window=30),
            Landmark(name="M12", day=365, window=45),
        ),
        description="Days at which depletion is asked for; as in kinetics.persistence.",
    )
    masks: tuple[Mask, ...] = Field(
        (Mask(kind="ivig", analytes=("igg",), days=28),),
        description="Events whose after-effect masks an analyte; masked results enter no depletion metric. Given "
        "IgG has a half-life of 21 to 28 days [recalled]; 28 is a house value.",
    )

    @field_validator("rules")
    @classmethod
    def _one_rule_each(cls, rules: tuple[DepletionRule, ...]) -> tuple[DepletionRule, ...]:
        for i, rule in enumerate(rules):
            if any((rule.analyte, rule.unit) == (other.analyte, other.unit) for other in rules[:i]):
                raise ValueError(f"two rules for {rule.analyte} in {rule.unit or 'any unit'}")
        return rules


class AcceptanceRule(Section):
    """One acceptance rule: the range that is allowed, and what follows outside it."""

    lower: float | None = Field(None, description="Smallest allowed value; null: none.")
    upper: float | None = Field(None, description="Largest allowed value; null: none.")
    consequence: Literal["reject", "flag", "ignore"] = Field("flag", description="What a broken rule does.")

    @model_validator(mode="after")
    def _in_order(self) -> AcceptanceRule:
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is above upper")
        return self


def _rule(
    lower: float | None, upper: float | None, consequence: Literal["reject", "flag"], description: str
) -> Any:
    return Field(AcceptanceRule(lower=lower, upper=upper, consequence=consequence), description=description)


class Acceptance(Section):
    """Acceptance rules of one stage, by name."""

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_not_named(cls, raw: Any) -> Any:
        # `r2: {consequence: flag}` says nothing of the limit: without this it would take the limit away.
        if not isinstance(raw, Mapping):
            return raw
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        return {
            name: {**defaults[name].model_dump(), **rule}
            if name in defaults and isinstance(rule, Mapping)
            else rule
            for name, rule in raw.items()
        }

    @classmethod
    def over(cls, base: Self, changes: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return ``base`` with the keys of ``changes`` put over its rules.

        Raises
        ------
        ValueError
            For a key or value that a rule does not allow.
        """
        raw = base.model_dump()
        for name, change in changes.items():
            raw[name] = {**raw[name], **change}
        return cls.model_validate(raw)


class PcrAcceptance(Acceptance):
    """Acceptance rules of PCR plates. A rule of the curve or of the plate counts for all its samples."""

    slope: AcceptanceRule = _rule(
        -3.6, -3.1, "reject", "Slope of the standard curve, Cq per decade. Source: PMC8282960, table 2."
    )
    efficiency: AcceptanceRule = _rule(
        90.0, 110.0, "reject", "Amplification efficiency, %. Source: PMC8282960, table 2."
    )
    r2: AcceptanceRule = _rule(
        0.98, None, "reject", "r2 of the standard curve. Source: GMO rule, PMC8282960, table 2."
    )
    standard_levels: AcceptanceRule = _rule(
        5,
        None,
        "reject",
        "Levels of standards within tolerance. ICH M10, 4.2.3 asks 6 of a ligand-binding assay; 5 decades are usual "
        "for qPCR (house value).",
    )
    standard_recovery: AcceptanceRule = _rule(
        75.0,
        125.0,
        "flag",
        "Back-calculated mean of a level of standards, % of nominal. Source: accuracy +-25 %, PMC8282960, table 2.",
    )
    standards_within: AcceptanceRule = _rule(
        75.0, None, "reject", "Share of the levels within that tolerance, %. Source: ICH M10, 4.2.3."
    )
    replicates: AcceptanceRule = _rule(2, None, "flag", "Wells used of one sample and target. House value.")
    replicate_cq_sd: AcceptanceRule = _rule(
        None,
        0.5,
        "reject",
        "Standard deviation of Cq of the replicates of a sample at or above the lowest standard, beyond what counting "
        "explains. Source: [recalled].",
    )
    replicate_cv: AcceptanceRule = _rule(
        None,
        25.0,
        "flag",
        "CV of copies between the replicates, %, beyond what counting explains. Source: GMO rule, PMC8282960, table 2.",
    )
    ntc_cq_margin: AcceptanceRule = _rule(
        5.0,
        None,
        "reject",
        "Cq of a no-template control above that of the LLOQ (of the lowest standard where no LLOQ is known); "
        "undetermined is always good. Source: [recalled].",
    )
    ntc_copies: AcceptanceRule = _rule(
        None,
        3.0,
        "reject",
        "Positive partitions of a no-template control; the limit of blank counts instead where one is known. 3 is the "
        "Poisson bound of 95 % for a blank (house value).",
    )
    control_recovery: AcceptanceRule = _rule(
        75.0,
        125.0,
        "reject",
        "Accuracy control, % of its expected copies. Source: +-25 %, PMC8282960, table 2.",
    )
    inhibition_shift: AcceptanceRule = _rule(
        None,
        1.0,
        "reject",
        "Cq of the inhibition control in a sample above its mean in the no-template controls and standards. Source: "
        "[recalled].",
    )
    inhibition_recovery: AcceptanceRule = _rule(
        50.0,
        None,
        "reject",
        "Copies of the inhibition control in a sample, % of its mean in the no-template controls, for digital PCR. "
        "House value: 50 % is a shift of one cycle.",
    )
    partitions: AcceptanceRule = _rule(
        10_000,
        None,
        "reject",
        "Accepted partitions of a well of 20,000 or more; a smaller plate needs the same share of its partitions. "
        "Source: [recalled, Bio-Rad].",
    )
    copies_per_partition: AcceptanceRule = _rule(
        None,
        5.0,
        "reject",
        "lambda; above it the well is saturated. House value: 0.7 % of partitions negative.",
    )
    volume_audit: AcceptanceRule = _rule(
        -2.0,
        2.0,
        "flag",
        "Partition volume implied by the instrument's concentration, % away from the one used. House value: twice the "
        "three-digit rounding of QuantaSoft.",
    )
    dna_ng: AcceptanceRule = _rule(
        20.0,
        1000.0,
        "flag",
        "Genomic DNA in one reaction, ng. House value: too little can't reach 50 copies/ug.",
    )


class DetectionLimits(Section):
    """Data from which the limits of an assay are estimated."""

    target: str = Field(description="Target, as the assay files name it.")
    dilutions: str = Field(
        description="Dilution series, relative to the trial folder: tsv with level (copies per reaction), copies "
        "(measured, empty or 0 where nothing was found), and optionally plate.",
    )
    blanks: str | None = Field(
        None,
        description="Results of no-template controls: tsv with copies (per reaction); null: no limit of blank.",
    )
    probability: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Probability of detection at the LOD. Source: MIQE; PMC8282960, table 2.",
    )
    max_cv_percent: float = Field(
        25.0, gt=0, description="Largest CV at the LLOQ. Source: GMO rule, PMC8282960, table 2."
    )
    max_bias_percent: float = Field(
        25.0, gt=0, description="Largest bias at the LLOQ. Source: GMO rule, PMC8282960, table 2."
    )


class Westgard(Section):
    """Charts of controls over plates."""

    min_plates: int = Field(
        5,
        ge=2,
        description="Plates before centre and limits are drawn. Laboratories set them from 20 [recalled].",
    )
    baseline_plates: int = Field(
        20, ge=2, description="First accepted plates that set centre and limits [recalled, Westgard]."
    )
    rules: tuple[Literal["1_2s", "1_3s", "2_2s", "R_4s", "4_1s", "10_x"], ...] = Field(
        ("1_2s", "1_3s", "2_2s", "R_4s", "4_1s", "10_x"),
        description="Westgard rules that are looked at; 1_2s only warns (Westgard 1981).",
    )


class Pcr(Section):
    """PCR plates."""

    units: tuple[Literal["copies/ug", "copies/cell", "copies/uL"], ...] = Field(
        ("copies/ug", "copies/cell", "copies/uL"),
        min_length=1,
        description="Units in which a result goes into measurements, each a course of its own. One that can't be "
        "computed for a sample has a row in qc that says why.",
    )
    pg_per_diploid_genome: float = Field(
        6.6,
        gt=0,
        description="Mass of a diploid human genome, pg [recalled: 6.6]; for copies/cell from copies/ug.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of all intervals of the PCR stage.")
    digital_interval: Literal["exact", "normal"] = Field(
        "exact",
        description="Interval of digital PCR: exact (Clopper and Pearson on the positive share) or normal, as QX Manager.",
    )
    subtract_blank: bool = Field(
        False,
        description="Take the mean of the blanks off digital PCR results. Never below 0; the limit of blank always "
        "counts for detection.",
    )
    acceptance: PcrAcceptance = Field(default_factory=PcrAcceptance)
    westgard: Westgard = Field(default_factory=Westgard)
    detection_limits: dict[str, DetectionLimits] = Field(
        default_factory=dict,
        description="Limits to estimate, by a name that assay files refer to (limits.estimated).",
    )


class FlowAcceptance(Acceptance):
    """Acceptance rules of flow tubes. A rule of the tube counts for all its populations."""

    removed_percent: AcceptanceRule = _rule(
        None,
        30.0,
        "flag",
        "Events left out because flow rate or signal were unstable, or at the margin of a channel, %. House value.",
    )
    events: AcceptanceRule = _rule(
        10_000, None, "flag", "Events that were gated (after what was left out). House value."
    )
    beads: AcceptanceRule = _rule(
        1_000,
        None,
        "flag",
        "Counting beads acquired; 1,000 give a CV of 3.2 % from counting alone. Bead makers ask for as many [recalled].",
    )
    count_agreement: AcceptanceRule = _rule(
        0.75,
        1.33,
        "flag",
        "Cells/uL by one way divided by those by the next one. House value: single and dual platform counts differ by "
        "up to a quarter.",
    )
    pre_infusion_car_percent: AcceptanceRule = _rule(
        None,
        0.5,
        "reject",
        "CAR+ events before the first infusion, % of their parent; above it the CAR gate is no CAR gate, and the CAR "
        "counts of that panel and batch fall. House value.",
    )
    over_compensation: AcceptanceRule = _rule(
        None,
        0.05,
        "flag",
        "Slope by which a bright channel pulls another one below zero after compensation; a matrix that was applied twice "
        "gives about the spillover itself. It tells that a matrix is wrong, not how wrong the counts are, so it flags; a "
        "panel with a good matrix can ask for reject (docs/validation.md). House value.",
    )
    under_compensation: AcceptanceRule = _rule(
        None,
        0.05,
        "flag",
        "Slope by which a bright channel lifts the negative events of another one after compensation; a matrix that was "
        "not applied gives the spillover itself. House value.",
    )
    flowjo_difference_percent: AcceptanceRule = _rule(
        None,
        0.5,
        "flag",
        "Difference of a gate's count from FlowJo's own count in the workspace, % of it, beyond one event. FlowJo bins "
        "polygons; 0.2 % was seen (FlowKit issues 113, 173, 194).",
    )


class FlowQuality(Section):
    """Acquisition over time."""

    events_per_bin: int = Field(
        500, ge=50, description="Events of one time bin, from which rate and medians are taken. House value."
    )
    rate_mads: float = Field(
        6.0,
        gt=0,
        description="Flow rate of a bin away from the median rate, in median absolute deviations, that is unstable. "
        "PeacoQC's default for signals is 6 (Emmaneel 2022, Cytometry A 101:325).",
    )
    signal_mads: float = Field(
        6.0,
        gt=0,
        description="The same for the median signal of a channel. PeacoQC's default (Emmaneel 2022).",
    )
    min_rate_change: float = Field(
        0.5,
        gt=0,
        description="A change of the rate below this share of the median is none, however steady the tube. House value.",
    )
    min_signal_shift: float = Field(
        0.25,
        gt=0,
        description="A shift of a bin's median below this share of the channel's own interquartile range is none. House "
        "value.",
    )


class FlowLimits(Section):
    """Limits of detection and quantification from events."""

    min_events_lod: int = Field(
        20,
        ge=1,
        description="Fewest events of a detected population. Mayo Clinic Laboratories, myeloma MRD by flow: a cluster of 20 "
        "cells or more; 20 to 30 in ICCS and EuroFlow guidance [recalled].",
    )
    min_events_lloq: int = Field(
        50,
        ge=1,
        description="Fewest events of a quantified population; counting alone then has a CV of 14 %. Source: [recalled, "
        "ICCS/EuroFlow: 50].",
    )
    blank_probability: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Probability that a tube without such cells stays at or below the limit of blank, and that one at the "
        "LOD lies above it. Source: CLSI EP17.",
    )


class Flow(Section):
    """Flow cytometry tubes."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of all intervals of the flow stage.")
    control_tail_percent: float = Field(
        0.1,
        gt=0,
        lt=50,
        description="Share of the control (FMO, isotype, pre-infusion) above a threshold that is set from it, %. House "
        "value; laboratories use 0.1 to 1.",
    )
    min_tail_events: int = Field(
        2,
        ge=1,
        description="Events of the control that have to lie above the threshold; fewer, and the control is too small for "
        "that share. House value.",
    )
    min_gate_events: int = Field(
        200,
        ge=20,
        description="Fewest events in which a threshold or an automatic gate is looked for. House value.",
    )
    slope_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="slope: the negative peak has run out where its slope is this share of the steepest. flowDensity's "
        "default for slope tracking (Malek 2015, Bioinformatics 31:606).",
    )
    absolute_from: tuple[Literal["beads", "volume", "blood_count"], ...] = Field(
        ("beads", "volume", "blood_count"),
        min_length=1,
        description="How cells/uL are computed, best first; the first that a tube allows goes into measurements, and every "
        "further one is compared with it.",
    )
    subtract_background: bool = Field(
        False,
        description="Take the events expected from the background off the count. Never below 0; the limit of blank always "
        "counts for detection.",
    )
    review: Literal["optional", "required"] = Field(
        "optional",
        description="required: CAR counts of a tube whose gates nobody has accepted in the review sheet are flagged.",
    )
    quality: FlowQuality = Field(default_factory=FlowQuality)
    limits: FlowLimits = Field(default_factory=FlowLimits)
    acceptance: FlowAcceptance = Field(default_factory=FlowAcceptance)


class ImmunoassayAcceptance(Acceptance):
    """Acceptance rules of immunoassay plates. A rule of the curve counts for all its samples."""

    standard_recovery: AcceptanceRule = _rule(
        80.0,
        120.0,
        "reject",
        "Back-calculated mean of a level of standards, % of nominal; a level outside leaves the fit. Source: ICH M10, "
        "4.2.3 (ligand-binding assays).",
    )
    standard_recovery_ends: AcceptanceRule = _rule(
        75.0, 125.0, "reject", "The same for the lowest and the highest level. Source: ICH M10, 4.2.3."
    )
    standards_within: AcceptanceRule = _rule(
        75.0, None, "reject", "Levels of standards within tolerance, %. Source: ICH M10, 4.2.3."
    )
    standard_levels: AcceptanceRule = _rule(
        6, None, "reject", "Levels of standards within tolerance. Source: ICH M10, 4.2.3."
    )
    standard_cv: AcceptanceRule = _rule(
        None,
        25.0,
        "flag",
        "CV of the signals of a level of standards in the fit, %: one of its wells may be wrong. House value.",
    )
    replicate_cv: AcceptanceRule = _rule(
        None,
        20.0,
        "flag",
        "CV of the concentrations of a sample's wells, %. Source: ICH M10, 4.2.3 (precision).",
    )
    control_recovery: AcceptanceRule = _rule(
        80.0, 120.0, "reject", "Control with an expected concentration, % of it. Source: ICH M10, 4.2.3."
    )
    control_range: AcceptanceRule = _rule(
        0.0, 0.0, "reject", "Distance of a control from its range in the assay file. House rule."
    )
    bead_count: AcceptanceRule = _rule(
        50, None, "flag", "Beads behind a signal. Source: [recalled, Luminex: 50; 35 for MAGPIX]."
    )
    linearity: AcceptanceRule = _rule(
        None,
        25.0,
        "flag",
        "Largest deviation of one dilution's result from the median of a sample's dilutions, %. House value, after ICH M10 "
        "(dilution linearity within 20 %).",
    )
    parallelism_p: AcceptanceRule = _rule(
        0.01,
        None,
        "flag",
        "p of the test that a sample's dilutions follow the standards' curve. House value.",
    )
    blank_signal: AcceptanceRule = _rule(
        None, 100.0, "flag", "Mean blank, % of the mean signal of the lowest accepted standard. House value."
    )
    anchored_dilution: AcceptanceRule = _rule(
        1.0, 1.0, "flag", "Starting dilution of a titre over that of the subject's other samples. House rule."
    )


class Immunoassay(Section):
    """Immunoassay plates."""

    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Level of all intervals of the immunoassay stage."
    )
    max_profile_cv_percent: float = Field(
        20.0,
        gt=0,
        description="precision_profile: largest CV of the back-calculated concentration inside the limits. Source: ICH M10.",
    )
    lod_sd: float = Field(
        3.0,
        gt=0,
        description="Limit of detection: concentration of the blanks' mean signal and so many of their SDs. [recalled: 2.5 to 3.3].",
    )
    starts: int = Field(8, ge=1, description="Starting points of a fit; the best counts.")
    acceptance: ImmunoassayAcceptance = Field(default_factory=ImmunoassayAcceptance)
    westgard: Westgard = Field(default_factory=Westgard)


class LowerLimit(Section):
    """Lower limit of normal of one blood count."""

    analyte: str = Field(description="Analyte (cartrace.analytes).")
    unit: str = Field(description="Unit of value.")
    value: float = Field(gt=0, description="The limit.")
    source: str = Field("", description="Where it comes from.")

    @model_validator(mode="after")
    def _known(self) -> LowerLimit:
        if self.analyte not in ANALYTES:
            near = did_you_mean(self.analyte, ANALYTES)
            raise ValueError(
                f"'{self.analyte}' is no analyte" + (f" (did you mean '{near}'?)" if near else "")
            )
        if self.unit not in ANALYTES[self.analyte].units:
            allowed = ", ".join(ANALYTES[self.analyte].units)
            raise ValueError(f"'{self.unit}' is no unit of {self.analyte}; known: {allowed}")
        return self


class Icaht(Section):
    """Days with low counts (ICAHT), from counts on some days."""

    count: Literal["cumulative", "longest"] = Field(
        "cumulative",
        description="cumulative: all days at the threshold (T-ICAHT); longest: the longest stretch of them (Liang, "
        "emilyliangmd/automatedicahtgrading).",
    )
    carry_days: int = Field(
        7,
        ge=0,
        description="Days without a count for which the counts around them speak: up to so many days between two low "
        "counts are low, and a count above the threshold holds for so many days unless a low one follows within them. "
        "Other days are unknown. House rule; 7 as in Liang's code, which interpolates up to 7 missing days.",
    )
    gaps: Literal["unknown", "linear"] = Field(
        "unknown",
        description="Days between a low and a higher count: unknown, so that the grade can lie between two; or by a straight "
        "line between the counts, at most carry_days days (Liang, emilyliangmd/automatedicahtgrading).",
    )
    stable_days: int = Field(
        3,
        ge=1,
        description="Fewer days above the threshold between two low stretches are no recovery and count as low. Source: "
        "T-ICAHT table 1; CIBMTR.",
    )
    late_gap_days: int = Field(
        45,
        ge=0,
        description="Late window: between two counts above the threshold at most so many days apart nothing is unknown. "
        "House value: monthly visits.",
    )
    end_at: tuple[Literal["death", "progression", "relapse"], ...] = Field(
        ("death", "progression"),
        description="Kinds of events that end the counting of days. Source: T-ICAHT table 1 (it also ends at the next line "
        "of therapy, which the events sheet does not know).",
    )


class Recovery(Section):
    """Recovery of blood counts."""

    after: Literal["nadir", "first_low"] = Field(
        "nadir",
        description="Counts count from the lowest one up to nadir_by_day (CIBMTR: not before the nadir), or from the first "
        "low one.",
    )
    nadir_by_day: float = Field(
        30, ge=0, description="Last day on which the nadir is looked for. House value."
    )
    transfusions: tuple[str, ...] = Field(
        ("platelet transfusion", "platelets"),
        description="Labels of drugs of the events sheet after which platelet counts are not the subject's own; case does "
        "not count.",
    )


class Treatment(Section):
    """A drug against toxicity, under one name."""

    name: str = Field(min_length=1, description="Name in the tables.")
    labels: tuple[str, ...] = Field(
        min_length=1,
        description="Words of the labels of drugs of the events sheet that mean it; case does not count, and the label "
        "may hold more words ('tocilizumab 8 mg/kg').",
    )


class Safety(Section):
    """Grades of toxicity from observations, counts and events."""

    acute_days: float = Field(
        30,
        ge=0,
        description="Last day from the infusion on which observations are graded as CRS and ICANS. House value: both "
        "begin within weeks.",
    )
    watch_days: float = Field(
        7,
        ge=0,
        description="Day from the infusion up to which every subject is to be observed: where the observations end before, "
        "the highest grade is only that of the days seen, which is a finding. Source: labels of CAR-T products, daily for at "
        "least 7 days [recalled].",
    )
    charted_by_exception: tuple[str, ...] = Field(
        (),
        description="Items that the trial writes down only when they are abnormal (seizure, motor_weakness, ...): on a day "
        "with another item of the same grade, one that is missing counts as normal. Without this, a missing item leaves "
        "the grade open.",
    )
    lower_limits: tuple[LowerLimit, ...] = Field(
        (),
        description="Lower limits of normal, for grade 1 of CTCAE; without one, a count above the grade 2 threshold is "
        "grade 0 or 1.",
    )
    icaht: Icaht = Field(default_factory=Icaht)
    recovery: Recovery = Field(default_factory=Recovery)
    treatments: tuple[Treatment, ...] = Field(
        (
            Treatment(name="Tocilizumab", labels=("tocilizumab", "actemra", "roactemra")),
            Treatment(
                name="Corticosteroids",
                labels=(
                    "dexamethasone",
                    "methylprednisolone",
                    "prednisolone",
                    "prednisone",
                    "hydrocortisone",
                    "corticosteroid",
                    "corticosteroids",
                    "steroid",
                    "steroids",
                ),
            ),
            Treatment(name="Anakinra", labels=("anakinra",)),
        ),
        description="Drugs against toxicity whose subjects the safety table counts. House list: the drugs that the ASTCT "
        "consensus names as masking fever (Lee 2019), and anakinra [recalled].",
    )
    treatment_days: float = Field(
        30,
        ge=0,
        description="Last day from the infusion on which such a drug counts as given against toxicity. It has to begin on "
        "or after the infusion, and what the patient was taking at the infusion (a taper of prednisone) does not count. "
        "House value: as acute_days.",
    )

    @field_validator("charted_by_exception")
    @classmethod
    def _items(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ITEMS:
                near = did_you_mean(name, ITEMS)
                raise ValueError(
                    f"one of {', '.join(ITEMS)}" + (f" (did you mean '{near}'?)" if near else "")
                )
        return names

    @field_validator("lower_limits")
    @classmethod
    def _once(cls, limits: tuple[LowerLimit, ...]) -> tuple[LowerLimit, ...]:
        if len({limit.analyte for limit in limits}) != len(limits):
            raise ValueError("an analyte is listed twice")
        return limits


class Score(Section):
    """A clinical score of the disease."""

    analyte: str = Field(
        description="Analyte of the family score; other_score for one that has no name here."
    )
    label: str = Field(min_length=1, description="Name in the report.")
    better: Literal["lower", "higher"] = Field(description="Which way improvement goes.")
    minimum: float = Field(description="Lowest possible score.")
    maximum: float = Field(description="Highest possible score.")
    minimal_change: float = Field(gt=0, description="Smallest change that counts as improvement.")
    source: str = Field("", description="Where range and minimal change come from.")

    @model_validator(mode="after")
    def _known(self) -> Score:
        if self.analyte not in ANALYTES or ANALYTES[self.analyte].family != "score":
            known = [a.name for a in ANALYTES.values() if a.family == "score"]
            raise ValueError(f"'{self.analyte}' is no score; known: {', '.join(known)}")
        if self.maximum - self.minimum < self.minimal_change:
            raise ValueError("the range is smaller than the minimal change")
        return self


class Efficacy(Section):
    """Courses of clinical scores."""

    scores: tuple[Score, ...] = Field(
        (
            Score(
                analyte="edss",
                label="EDSS",
                better="lower",
                minimum=0,
                maximum=10,
                minimal_change=1,
                source="[recalled; 0.5 is used from 6 on]",
            ),
            Score(
                analyte="mmt8",
                label="MMT-8",
                better="higher",
                minimum=0,
                maximum=150,
                minimal_change=15,
                source="Range [recalled]; 10 % of it: house value.",
            ),
            Score(
                analyte="qmg",
                label="QMG",
                better="lower",
                minimum=0,
                maximum=39,
                minimal_change=3,
                source="[recalled]",
            ),
            Score(
                analyte="mg_adl",
                label="MG-ADL",
                better="lower",
                minimum=0,
                maximum=24,
                minimal_change=2,
                source="[recalled]",
            ),
            Score(
                analyte="sledai",
                label="SLEDAI-2K",
                better="lower",
                minimum=0,
                maximum=105,
                minimal_change=4,
                source="[recalled]",
            ),
        ),
        description="Scores that are followed. Every number of the defaults is recalled: set those of the protocol.",
    )
    landmarks: tuple[Landmark, ...] = Field(
        (
            Landmark(name="M1", day=28, window=7),
            Landmark(name="M3", day=84, window=14),
            Landmark(name="M6", day=180, window=30),
            Landmark(name="M12", day=365, window=45),
        ),
        description="Days at which the change is asked for; as for persistence.",
    )

    @field_validator("scores")
    @classmethod
    def _once(cls, scores: tuple[Score, ...]) -> tuple[Score, ...]:
        if len({score.analyte for score in scores}) != len(scores):
            raise ValueError("a score is listed twice")
        return scores


class Outcomes(Section):
    """Relapse-free survival, follow-up and relapse rates. The events are those of association.relapse.kinds."""

    death: Literal["event", "censoring"] = Field(
        "event",
        description="Death without a relapse is an event of relapse-free survival, or ends the follow-up. Source: [recalled] "
        "FDA guidance on endpoints 2018 (disease-free survival counts death of any cause); trials in NMOSD censor it "
        "(time to first relapse).",
    )
    landmarks: tuple[float, ...] = Field(
        (90.0, 180.0, 365.0),
        description="Study days at which the relapse-free share is asked for. House values: months 3, 6, 12.",
    )
    all_recorded: bool = Field(
        False,
        description="true: the events sheet is known to hold every relapse, so that a sheet without any means none. Otherwise "
        "it must hold at least one relapse, progression, response or death before anybody is called relapse-free.",
    )
    before_days: float | None = Field(
        None,
        gt=0,
        description="The events sheet holds every relapse of so many days before the first infusion; then the annualised "
        "relapse rate before it is given. null: nobody knows, so no rate.",
    )

    @field_validator("landmarks")
    @classmethod
    def _ascending(cls, days: tuple[float, ...]) -> tuple[float, ...]:
        if any(day <= 0 for day in days) or list(days) != sorted(set(days)):
            raise ValueError("days above 0, each once, in ascending order")
        return days


class KeyResults(Section):
    """The table of key results: what the abstract of a report prints."""

    expansion: tuple[str, ...] = Field(
        ("transgene", "car_t_cells"),
        description="Expansion analytes that are shown, in this order; of each assay the unit of most subjects.",
    )
    assays: tuple[str, ...] = Field(
        (),
        description="Assays of them that are shown, in this order; none: all, those of most subjects first.",
    )
    matrices: tuple[str, ...] = Field(("blood",), description="Compartments of them that are shown.")
    least_percent: float = Field(
        50.0,
        ge=0,
        le=100,
        description="Courses of expansion and depletion that a smaller share of the treated subjects has are not shown, unless "
        "their assay is named. House value.",
    )
    depletion: tuple[str, ...] = Field(
        ("b_cells", "igg"), description="Analytes whose depletion is shown, in this order."
    )
    most_frequent: int = Field(
        3,
        ge=0,
        description="So many of the most frequent grade 3 or higher toxicities are named; those that tie with the last one "
        "too.",
    )

    @field_validator("expansion")
    @classmethod
    def _expanding(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in EXPANSION:
                raise ValueError(f"'{name}' is no expansion analyte; allowed: {', '.join(EXPANSION)}")
        return names

    @field_validator("depletion")
    @classmethod
    def _depleted(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in DEPLETION:
                raise ValueError(f"'{name}' gets no depletion metrics; allowed: {', '.join(DEPLETION)}")
        return names

    @field_validator("matrices")
    @classmethod
    def _compartments(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in MATRICES:
                raise ValueError(f"'{name}' is no compartment; allowed: {', '.join(MATRICES)}")
        return names


class Cohort(Section):
    """Summaries over subjects."""

    min_n: int = Field(3, ge=1, description="Fewest estimates for a mean or a median.")
    by_cohort: bool = Field(True, description="Also summarise each cohort of the subjects sheet.")
    association: Association = Field(default_factory=Association)
    outcomes: Outcomes = Field(default_factory=Outcomes)
    key_results: KeyResults = Field(default_factory=KeyResults)


class Report(Section):
    """The report page."""

    subject_pages: bool = Field(True, description="One page for each subject?")


class Config(Section):
    """The whole configuration of a trial folder."""

    trial: Trial = Field(default_factory=Trial)
    data_dir: str = Field(
        "data", description="Folder of the laboratory files. A file's path may not lead out of it."
    )
    sheets: Sheets = Field(default_factory=Sheets)
    single_infusion: SingleInfusion | None = Field(
        None, description="For tables without subjects and infusions sheets."
    )
    visits: tuple[Visit, ...] = Field((), description="Nominal visits with their windows.")
    inbox: Inbox | None = Field(
        None,
        description="Folders in which laboratories leave files; null when every file is put in place by hand.",
    )
    privacy: Privacy = Field(default_factory=Privacy)
    plausibility: Plausibility = Field(default_factory=Plausibility)
    pcr: Pcr = Field(default_factory=Pcr)
    flow: Flow = Field(default_factory=Flow)
    immunoassay: Immunoassay = Field(default_factory=Immunoassay)
    cells: Cells = Field(default_factory=Cells)
    repertoire: Repertoire = Field(default_factory=Repertoire)
    kinetics: Kinetics = Field(default_factory=Kinetics)
    antibody: Antibody = Field(default_factory=Antibody)
    depletion: Depletion = Field(default_factory=Depletion)
    safety: Safety = Field(default_factory=Safety)
    efficacy: Efficacy = Field(default_factory=Efficacy)
    cohort: Cohort = Field(default_factory=Cohort)
    report: Report = Field(default_factory=Report)

    @field_validator("data_dir")
    @classmethod
    def _data_path(cls, folder: str) -> str:
        return _path(folder)

    @model_validator(mode="after")
    def _sheets_or_single(self) -> Config:
        missing = [n for n in ("subjects", "infusions", "products") if getattr(self.sheets, n) is None]
        if missing and self.single_infusion is None:
            raise ValueError(
                f"sheets.{missing[0]} is null, which needs single_infusion (one product, one infusion on day 0)"
            )
        return self


def load(raw: Mapping[str, Any], file: str = "config") -> Config:
    """Check ``raw`` and fill in the defaults.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    config, problems = check(raw, file)
    raise_if_any(problems)
    return config


def check(raw: Mapping[str, Any], file: str = "config") -> tuple[Config, list[Problem]]:
    """Check ``raw``; sections with problems are replaced by their defaults.

    So the sheets can be checked too, and everything is told at once.
    """
    try:
        return Config.model_validate(raw), []
    except ValidationError as error:
        faults = error.errors()
    bad = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
    rest = {key: value for key, value in raw.items() if key not in bad}
    problems = [problem_of(fault, file, Config) for fault in faults]
    # A fault of the whole (no single section to blame) leaves nothing to go on with.
    return (check(rest, file)[0] if bad else Config()), problems
