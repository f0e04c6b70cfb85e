"""The methods paragraph, written from the configuration that ran.

A reader of the report must see which rules made the numbers (trapezoidal rule,
results below a limit by position, terminal phase, basis of AUC to infinity)
without opening a configuration file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.analytes import ANALYTES
from cartrace.antibody.metrics import READ_OUT
from cartrace.flow.acceptance import QUANTITIES
from cartrace.pcr.acceptance import RULES
from cartrace.plates.acceptance import Acceptance
from cartrace.report import (
    cells_methods,
    clones_methods,
    efficacy_methods,
    immunoassay_methods,
    safety_methods,
)
from cartrace.report.packing import unit_label

if TYPE_CHECKING:
    from cartrace.config import (
        AcceptanceRule,
        Antibody,
        Auc,
        Blq,
        Config,
        Depletion,
        DepletionRule,
        DetectionLimits,
        Flow,
        HalfLife,
        Pcr,
        Persistence,
        Stein,
    )
    from cartrace.report.clones import CloneTables
    from cartrace.report.immunoassays import CalibrationUse
    from cartrace.report.libraries import CellTables
    from cartrace.report.tubes import PanelUse

_TRAPEZOID = {
    "linear": "the linear trapezoidal rule",
    "lin_up_log_down": "the linear trapezoidal rule where the course rises and the logarithmic rule where "
    "it falls",
    "lin_log": "the linear trapezoidal rule up to the peak and the logarithmic rule after it",
}
_BEYOND = {
    "none": "Nothing was extrapolated beyond the last sample: a window that ends later is not estimable.",
    "to_first_blq": "Beyond the last quantifiable result a window was closed by a triangle to the first "
    "result below quantification.",
    "lambda_z": "Beyond the last quantifiable result a window was completed with the terminal phase.",
}


def sections(
    config: Config,
    versions: Mapping[str, str],
    *,
    plates: bool = False,
    panels: Sequence[PanelUse] = (),
    immunoassays: Sequence[CalibrationUse] = (),
    cells: CellTables | None = None,
    clones: CloneTables | None = None,
    safety: Mapping[str, str] | None = None,
    efficacy: bool = False,
) -> list[tuple[str, str]]:
    """Describe what was done, as (heading, text) pairs in reading order.

    Parameters
    ----------
    config
        The configuration that ran, with its defaults filled in.
    versions
        Program name to version, as :func:`cartrace.provenance.versions` gives.
    plates
        Whether results come from PCR plates that cartrace read itself.
    panels
        How flow tubes were gated that cartrace read itself (:func:`cartrace.report.tubes.panels_used`).
    immunoassays
        How immunoassay plates were calibrated (:func:`cartrace.report.immunoassays.calibrations_used`).
    cells
        Tables of single-cell libraries; only what they hold is told.
    clones
        Tables of clones and integration sites, likewise.
    safety
        Graded terms with their standards (``cartrace.report.safety.SafetyTables.standards``); None without a safety page.
    efficacy
        Whether the report has a page of efficacy.

    Returns
    -------
    list of (str, str)
        Plain sentences without markup.
    """
    kinetics = config.kinetics
    parts = [
        ("Time and samples", _clock(config)),
        *_pcr(config.pcr, plates=plates),
        *_flow(config.flow, panels),
        *immunoassay_methods.sections(config.immunoassay, immunoassays),
        *(cells_methods.sections(config.cells, cells) if cells else []),
        *(clones_methods.sections(config.repertoire, clones) if clones else []),
        ("Results below a limit", _blq(kinetics.blq)),
        ("Areas under the course", _auc(kinetics.auc)),
        ("Terminal phase", _half_life(kinetics.half_life)),
        ("Persistence", _persistence(kinetics.persistence)),
        ("Model of expansion and decline", _stein(kinetics.stein)),
        ("Depletion and reconstitution", _depletion(config.depletion)),
        ("Antibodies", _antibody(config.antibody)),
        *safety_methods.sections(config.safety, safety or {}, shown=safety is not None),
        *efficacy_methods.sections(config, shown=efficacy),
        ("Cohort", _cohort(config)),
    ]
    software = _software(versions)
    return [*parts, ("Software", software)] if software else parts


def paragraph(config: Config, versions: Mapping[str, str]) -> str:
    """Write :func:`sections` as running text, one paragraph per heading."""
    return "\n\n".join(text for _, text in sections(config, versions))


def _clock(config: Config) -> str:
    text = (
        "Day 0 is the day of infusion, and each sample belongs to the latest infusion at or before it unless "
        "the samples sheet says otherwise. Several infusions of one patient were analysed apart; no area, "
        "slope or persistence time runs across an infusion. Samples taken before an infusion are its baseline "
        "and entered no area; a sample of day 0 counts as taken after the infusion only if the name of its "
        f"visit says so (pattern {config.kinetics.post_infusion_visits}). Courses of different compartments, assays or "
        "units were never mixed."
    )
    if config.visits:
        named = _list([f"{v.name} (day {v.day:g} ± {v.window:g})" for v in config.visits])
        text += f" Nominal visits: {named}."
    return text


def _rule(rule: str | float) -> str:
    if rule == "keep":
        return "counted as 0"
    if rule == "drop":
        return "left out"
    if rule == "half_lloq":
        return "replaced by half the lower limit of quantification"
    return f"replaced by {float(rule):g}"


def _pcr(pcr: Pcr, *, plates: bool) -> list[tuple[str, str]]:
    if not plates:
        return []
    level = f"{100 * pcr.confidence:g} %"
    interval = (
        "the exact binomial interval (Clopper and Pearson)"
        if pcr.digital_interval == "exact"
        else "the normal approximation that QX Manager uses"
    )
    blank = (
        "The mean of the blanks was taken off, never below 0. "
        if pcr.subtract_blank
        else "No blank was taken off. "
    )
    quantities = (
        "Plates were read from the instruments' own files and computed anew. In qPCR a standard curve is a straight "
        "line of Cq over log10 copies per reaction, fitted by least squares (weighted where the assay file says so) to "
        "the standards of the plate, or stored from earlier plates where the assay file names such a curve; copies "
        "are read from it, and replicates are averaged. In digital PCR copies follow from -ln(share of negative "
        f"partitions) and the partition volume; wells of one sample are pooled by their partitions. {blank}"
        f"Intervals are at {level}: in qPCR the curve's, read backwards (Fieller), and that of the molecules counted "
        f"(Poisson), added on the log scale; in digital PCR {interval}."
    )
    units = (
        f"Results are given in {_list([unit_label(u) for u in pcr.units])}, each a course of its own: copies/µg from the "
        "DNA in the reaction; copies/cell from a reference gene where the plate has one, or else from copies/µg with "
        f"{pcr.pg_per_diploid_genome:g} pg of DNA in a diploid cell; copies/µL of blood from the volumes of the "
        "extraction or from the white-cell count. A unit for which something is missing has no value, and a finding "
        "says what was missing. "
        + (
            " ".join(_limits_of(name, limits) for name, limits in pcr.detection_limits.items())
            or "Limits of detection and quantification are those of the assay file."
        )
    )
    rules = Acceptance(pcr.acceptance, RULES, "pcr.acceptance")
    named = {name: rules.limit(name).consequence for name in RULES}
    rejects, flags = (
        _list(
            [
                f"{RULES[name].quantity}: {rules.limit_text(name)}"
                for name, consequence in named.items()
                if consequence == word
            ],
            semicolons=True,
        )
        for word in ("reject", "flag")
    )
    ignored = _list([RULES[name].quantity for name, consequence in named.items() if consequence == "ignore"])
    acceptance = "Unless an assay file says otherwise, a result was rejected outside these limits: "
    acceptance += f"{rejects or 'none'}. It was flagged outside these: {flags or 'none'}. "
    acceptance += f"Not looked at: {ignored}. " if ignored else ""
    acceptance += "A rule of a curve or of a control counts for all samples of its plate. "
    westgard = pcr.westgard
    acceptance += (
        f"Controls are followed over the plates from {westgard.min_plates} plates on; the first "
        f"{westgard.baseline_plates} accepted plates set centre and standard deviation. Westgard rules: "
        f"{_list([r.replace('_', '-') for r in westgard.rules]) or 'none'}; 1-2s only warns."
    )
    return [
        ("PCR plates: from the instrument to copies", quantities),
        ("PCR plates: units and limits", units),
        ("PCR plates: acceptance", acceptance),
    ]


_ABSOLUTE = {
    "beads": "counting beads (cells / beads, times the beads and divided by the specimen in the tube)",
    "volume": "the acquired volume and the dilution",
    "blood_count": "a blood count and the population's share of it",
}


def _flow(flow: Flow, panels: Sequence[PanelUse]) -> list[tuple[str, str]]:
    if not panels:
        return []
    level = f"{100 * flow.confidence:g} %"
    quality, limits = flow.quality, flow.limits
    gating = (
        "FCS files were read as the instruments wrote them. Where the panel asks for it, events were left out before gating: "
        f"stretches of {quality.events_per_bin} events whose flow rate lies more than {quality.rate_mads:g} or whose median "
        f"signal more than {quality.signal_mads:g} median absolute deviations from that of the tube (and off by at least "
        f"{100 * quality.min_rate_change:g} % of the rate, or {quality.min_signal_shift:g} of the channel's interquartile "
        "range), and events at the margin of a scatter channel. Gates have the semantics of FlowKit (Gating-ML 2.0). A threshold "
        f"from a control leaves {flow.control_tail_percent:g} % of the control above it unless the panel file says "
        f"otherwise, and no threshold was set from fewer than {flow.min_gate_events} events. "
        + " ".join(_panel(p) for p in panels)
    )
    ways = _list([_ABSOLUTE[w] for w in flow.absolute_from], semicolons=True)
    several = (
        "The first that a tube allows counts, and every further one is compared with it. "
        if len(flow.absolute_from) > 1
        else ""
    )
    counts = (
        f"Intervals are exact and at {level}: of percentages that of Clopper and Pearson (1934), of cells/µL by beads that of "
        "a ratio of two Poisson counts (Przyborowski and Wilenski 1940), by volume that of Garwood (1936), by a blood count "
        "that of the share alone, since the error of the blood count is not known. They tell the error of counting. "
        f"Cells/µL come from {ways}. {several}"
        "The background of a population is what the gates of the tube catch of it in the FMO, isotype and pre-infusion tubes, "
        "as a share of the last gate before the marker that the control leaves out. "
        + (
            "The events that it predicts were taken off the count, never below 0. "
            if flow.subtract_background
            else "It was not taken off the count. "
        )
        + "The limit of blank is the count that a tube of background alone does not exceed with a probability of "
        f"{100 * limits.blank_probability:g} %. A population is detected with more events than that, and with at least "
        f"{limits.min_events_lod} events beyond the background; the limit of detection is the true number of events that is "
        "detected with that probability (CLSI EP17). The limit of quantification is the number whose count is as precise as "
        f"{limits.min_events_lloq} events without background, and never below the limit of detection. A staining that can't "
        "be read has a reason and no number. "
        + (
            "The CAR counts of a tube whose gates nobody has accepted are flagged."
            if flow.review == "required"
            else "A review of the gates was not required."
        )
    )
    named = {name: getattr(flow.acceptance, name) for name in QUANTITIES}
    rejects, flags, ignored = (
        _list(
            [
                f"{unit_label(QUANTITIES[name])}{'' if word == 'ignore' else ': ' + _range(rule)}"
                for name, rule in named.items()
                if rule.consequence == word
            ],
            semicolons=True,
        )
        for word in ("reject", "flag", "ignore")
    )
    acceptance = (
        f"Unless a panel file says otherwise, a count was rejected outside these limits: {rejects or 'none'}. It was flagged "
        f"outside these: {flags or 'none'}. "
    )
    acceptance += f"Not looked at: {ignored}. " if ignored else ""
    acceptance += "A rule of the tube counts for all its populations."
    return [
        ("Flow cytometry: from events to gates", gating.strip()),
        ("Flow cytometry: percentages, cells/µL and limits", counts),
        ("Flow cytometry: acceptance", acceptance),
    ]


def _panel(panel: PanelUse) -> str:
    by_ways: dict[tuple[str, ...], list[str]] = {}
    for name, ways in panel.thresholds:
        by_ways.setdefault(ways, []).append(name)
    thresholds = [
        f"{_list(names)} by {_list(ways) if ways else 'no way (not set)'}" for ways, names in by_ways.items()
    ]
    return (
        f"Panel {panel.name} ({panel.tubes} {'tube' if panel.tubes == 1 else 'tubes'}), {_list(panel.compensation)}: gates "
        f"{_list(panel.gates) or 'none'}"
        + (f"; thresholds: {_list(thresholds, semicolons=True)}." if thresholds else ".")
    )


def _range(rule: AcceptanceRule) -> str:
    if rule.lower is not None and rule.upper is not None:
        return f"{rule.lower:,g} to {rule.upper:,g}"
    if rule.lower is not None:
        return f"at least {rule.lower:,g}"
    return "any" if rule.upper is None else f"at most {rule.upper:,g}"


def _limits_of(name: str, limits: DetectionLimits) -> str:
    blank = "the limit of blank from no-template controls; " if limits.blanks else ""
    return (
        f"Limits '{name}' ({limits.target}): {blank}the limit of detection by probit at a probability of "
        f"{100 * limits.probability:g} %; the limit of quantification is the lowest level with a CV of at most "
        f"{limits.max_cv_percent:g} % and a bias of at most {limits.max_bias_percent:g} %."
    )


def _blq(blq: Blq) -> str:
    if blq.by == "quantifiable":
        positions = [
            ("before the first quantifiable result", blq.before_first),
            ("between the first and the last quantifiable result", blq.between),
            ("after the last quantifiable result", blq.after_last),
        ]
    else:
        positions = [("before the peak", blq.before_tmax), ("after the peak", blq.after_tmax)]
    rules = _list([f"{_rule(rule)} {where}" for where, rule in positions], semicolons=True)
    return (
        "Results below the limit of quantification (BLQ) and below the limit of detection (BLD) were kept "
        f"apart and are never a measured 0. For areas they were {rules}. They did not enter the regression "
        "of the terminal phase."
    )


def _auc(auc: Auc) -> str:
    windows = _list([f"{a:g} to {b:g}" for a, b in auc.windows])
    start = (
        "Where no sample was taken on day 0, the course starts there at 0."
        if auc.start == "zero"
        else "No value was assumed on day 0: a window that starts before the first sample is not estimable."
    )
    fallback = (
        ""
        if auc.method == "linear"
        else " Between equal values, and next to a 0, the linear rule took its place."
    )
    wanted = f"Partial areas: days {windows}. " if auc.windows else ""
    few = (
        f" An area with fewer than {auc.min_points} results in it is not estimable."
        if auc.min_points > 0
        else ""
    )
    return (
        f"Areas were computed with {_TRAPEZOID[auc.method]}.{fallback} {wanted}Values at the edges of a window were interpolated "
        f"by the same rule. {start} {_BEYOND[auc.extrapolation]} The area to infinity adds the last "
        "quantifiable value divided by the terminal rate, and is not estimable when more than "
        f"{auc.max_extrapolated_percent:g} % of it is extrapolated.{few}"
    )


def _half_life(half_life: HalfLife) -> str:
    first = "at the peak or later" if half_life.allow_tmax else "after the peak"
    among = "all windows" if half_life.rule == "pknca" else "the windows that decline"
    name = "PKNCA" if half_life.rule == "pknca" else "WinNonlin"
    text = (
        "The terminal rate (lambda_z) is the slope of the log-linear regression over the last quantifiable results. "
        f"Candidate windows end at the last quantifiable result, begin {first} and hold at least "
        f"{half_life.min_points} results. Among the declining windows whose adjusted r² is within "
        f"{half_life.adj_r2_factor:g} of the best of {among}, the one with most results was taken (the rule "
        f"of {name}). The half-life is not estimable when the adjusted r² is below "
        f"{half_life.min_adj_r2:g} or when the window is shorter than {half_life.min_span_ratio:g} "
        f"{'half-life' if half_life.min_span_ratio == 1 else 'half-lives'}."
    )
    if half_life.tobit:
        text += (
            " A second estimate used the results below a limit as left-censored observations (Tobit "
            "regression)."
        )
    return text


def _persistence(persistence: Persistence) -> str:
    limit = (
        "quantification: a result that is detected but not quantifiable counts as lost"
        if persistence.loss_below == "quantification"
        else "detection: a result that is detected but not quantifiable still counts as present"
    )
    confirmed = (
        "One such result is enough."
        if persistence.confirm_blq == 1
        else "Two consecutive such results are needed."
    )
    text = (
        f"Loss is a result below the limit of {limit}. {confirmed} The time to loss is known only as an "
        "interval, from the last result that counts as present to the first result of the loss; a patient "
        "without a loss is right-censored at the last result that counts as present."
    )
    if persistence.landmarks:
        named = _list([f"{x.name} (day {x.day:g} ± {x.window:g})" for x in persistence.landmarks])
        text += (
            f" Landmarks: {named}. The sample nearest to the landmark within its window answers; without one, "
            "presence is not assessable."
        )
    return text


def _stein(stein: Stein) -> str:
    if not stein.enabled:
        return "No model of expansion and decline was fitted."
    return (
        "The piecewise model of exponential growth to a peak and bi-exponential decline after it (Stein 2019, "
        "CPT Pharmacometrics Syst Pharmacol) was fitted to each course with at least "
        f"{stein.min_points} quantifiable results, by maximum likelihood with results below a limit as "
        "left-censored. A parameter whose standard error on the log scale exceeds "
        f"{stein.max_relative_se:g} is reported as not identifiable. The 95 % limits use Student's t with the "
        "residual degrees of freedom."
    )


def _depletion(depletion: Depletion) -> str:
    rules = _list([_rule_of(rule) for rule in depletion.rules], semicolons=True)
    text = "A result counts as depleted " + (f"by these rules: {rules}; any other course " if rules else "")
    text += (
        f"below {depletion.otherwise_percent_of_baseline:g} % of its baseline. The baseline is the last result before "
        "lymphodepletion, or else before the infusion. A result below a limit that lies above the threshold leaves the "
        f"state open. A depletion needs {_results(depletion.confirm_onset)}, its end "
        f"{_results(depletion.confirm_end)} above. Start and end are known only as intervals between two samples; a "
        "depletion that lasts to the last sample is right-censored. Reconstitution was asked for in three ways: above "
        f"the threshold again, back to {100 * depletion.baseline_fraction:g} % of the baseline, and above the lower "
        "limit of normal where one is given."
    )
    for mask in depletion.masks:
        text += (
            f" For {mask.days:g} {'day' if mask.days == 1 else 'days'} after {_event(mask.kind)}, results of "
            f"{_list([_name(a) for a in mask.analytes])} entered no depletion metric."
        )
    if depletion.landmarks:
        named = _list([f"{x.name} (day {x.day:g} ± {x.window:g})" for x in depletion.landmarks])
        text += f" Landmarks: {named}."
    return text


def _rule_of(rule: DepletionRule) -> str:
    where = _name(rule.analyte) + (f" in {unit_label(rule.unit)}" if rule.unit else "")
    what = {
        "absolute": f"below {rule.threshold or 0:g}",
        "percent_of_baseline": f"below {rule.threshold or 0:g} % of the baseline",
        "not_detected": "below the limit of detection",
        "not_quantifiable": "below the limit of quantification",
    }[rule.kind]
    normal = rule.lower_limit_of_normal
    return f"{where} {what}" + (f" (normal from {normal:g})" if normal is not None else "")


def _results(n: int) -> str:
    return "one result" if n == 1 else f"{n} consecutive results"


def _event(kind: str) -> str:
    return "an immunoglobulin dose (IVIG)" if kind == "ivig" else f"an event of kind {kind}"


def _name(analyte: str) -> str:
    return ANALYTES[analyte].label if analyte in ANALYTES else analyte


def _antibody(antibody: Antibody) -> str:
    stepped = antibody.titre_step > 1
    text = (
        f"A titre is the last dilution that still reacts: with a step of {antibody.titre_step:g}, 40 means a titre "
        f"from 40 to below {40 * antibody.titre_step:g}; a plate's own interval counts before that. A negative result "
        "lies below the starting dilution. "
        if stepped
        else "Titres are taken as plain numbers. A negative result lies below the starting dilution. "
    )
    own = [f"{_name(r.analyte)} {r.titre_step:g}" for r in antibody.rules if r.titre_step is not None]
    cut = [
        f"{_name(r.analyte)} {r.positive_from:g}" + (f" {r.unit}" if r.unit else "")
        for r in antibody.rules
        if r.positive_from is not None
    ]
    text += f"Other steps: {_list(own)}. " if own else ""
    text += f"Lowest positive results: {_list(cut)}. " if cut else ""
    text += (
        "The fall from the baseline to the lowest later result is given in log2 steps, with the interval that the "
        f"dilutions leave open. A fall of {antibody.fold:g} times counts. So does such a rise above the lowest earlier "
        f"result. Seronegative means {_negatives(antibody.confirm_negative)}; a change of the starting dilution between "
        f"them confirms nothing. Positive again means {_positives(antibody.confirm_positive)} after that. "
    )
    half_life = antibody.half_life
    begin = {
        "maximum": "the highest result after the infusion",
        "infusion": "the first result after the infusion",
        "baseline": "the baseline",
    }[half_life.start]
    end = "the last result" if half_life.end == "last" else "the lowest result"
    text += (
        f"The half-life of a patient's antibody rests on at least {half_life.min_points} results from {begin} to {end} "
        "or to the confirmed loss, by maximum likelihood with titres as intervals and results below a limit as "
        "left-censored. "
    )
    population = antibody.population
    if population.enabled:
        rates = "normally" if population.rate == "normal" else "log-normally"
        until = "" if population.end_day is None else f" to day {population.end_day:g}"
        text += (
            f"One exponential decay over all patients from day {population.start_day:g}{until} was fitted by maximum "
            f"likelihood, with random starts and {rates} distributed rates, an error constant on the log scale, and results below a "
            f"limit as left-censored; it needs {population.min_subjects} patients with two results. "
        )
    means = antibody.means
    if means.enabled:
        text += (
            "The mean level of the patients at each visit, and the mean change from the baseline, were estimated by maximum "
            "likelihood for log2-normal levels with every result as its interval, with profile-likelihood limits that "
            "are those of Student's t where nothing is censored. They are given for "
            f"{means.min_n} patients or more, of whom no more than {means.max_beyond_percent:g} % lie on one side of a "
            "limit; patients negative at baseline are left out. The usual geometric mean stands beside it for comparison: "
            "end points as they are, a negative titre one step below its start, another result at half its limit. "
        )
    return text + READ_OUT


def _positives(n: int) -> str:
    return "a positive result" if n == 1 else f"{n} consecutive positive results"


def _negatives(n: int) -> str:
    return (
        "one negative result"
        if n == 1
        else f"{n} consecutive negative results with the same starting dilution"
    )


def _cohort(config: Config) -> str:
    each = (
        "Each cohort of the subjects sheet was also summarised on its own." if config.cohort.by_cohort else ""
    )
    n = config.cohort.min_n
    text = (
        "Summaries state beside them how many values are censored or not estimable. Where values are censored, only "
        "the order statistics that they leave certain are given, and a median may be an interval. "
        f"Means and medians need at least {n} {'estimate' if n == 1 else 'estimates'}. Times to an event were "
        "summarised with the Kaplan-Meier estimator (event at the first result that shows it) and, since they "
        f"are intervals, with the Turnbull estimator. {each}".strip()
    )
    a = config.cohort.association
    ranked = (
        "A value known only as an interval was ranked by the pairs whose order is certain (Mantel 1967). "
        if a.censored == "ranks"
        else "Values known only as intervals were left out. "
    )
    return (
        f"{text} Expansion was compared with depletion, antibodies, response and relapse by rank tests (Spearman, "
        f"Mann-Whitney, Kruskal-Wallis) of the first infusion where at least {a.min_pairs} patients have both values. "
        f"{ranked}p values come from permutations up to {a.permutation_up_to} patients; q is p after Benjamini and "
        "Hochberg within each family of questions."
    )


def _software(versions: Mapping[str, str]) -> str:
    if not versions:
        return ""
    names = {"cartrace": "cartrace", "python": "Python", "snakemake": "Snakemake"}
    order = ["cartrace", "python", "snakemake"]
    listed = [k for k in order if k in versions] + [k for k in versions if k not in order]
    return f"Computed with {_list([f'{names.get(k, k)} {versions[k]}' for k in listed])}."


def _list(items: Sequence[str], *, semicolons: bool = False) -> str:
    """Join as a sentence does: ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    comma = "; " if semicolons else ", "
    return comma.join(items[:-1]) + (" and " if not semicolons else "; and ") + items[-1]
