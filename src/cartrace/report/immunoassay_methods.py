"""What the methods say of immunoassay plates: calibration, limits, titres, acceptance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cartrace.immunoassay.acceptance import RULES
from cartrace.plates.acceptance import Acceptance
from cartrace.report.immunoassay_words import LIMITS_FROM, READOUTS
from cartrace.report.immunoassays import CalibrationUse, listed

if TYPE_CHECKING:
    from cartrace.config import Immunoassay


def sections(settings: Immunoassay, used: Sequence[CalibrationUse]) -> list[tuple[str, str]]:
    """Describe how plates were calibrated and judged, as (heading, text) pairs; nothing without a plate.

    Parameters
    ----------
    settings
        Section immunoassay of the configuration that ran.
    used
        What the tables say of each assay (:func:`cartrace.report.immunoassays.calibrations_used`).
    """
    if not used:
        return []
    ways = {way for assay in used for way, _ in assay.how}
    curves = any(way.startswith(("4PL", "5PL", "line")) for way in ways)
    parts = [
        ("Immunoassay plates: from the signal to the result", _calibration(settings, used, curves=curves))
    ]
    if curves or any(assay.limits for assay in used):
        parts.append(("Immunoassay plates: limits", _limits(settings, used)))
    if READOUTS["titre"] in ways:
        parts.append(("Immunoassay plates: titres", _TITRES))
    return [*parts, ("Immunoassay plates: acceptance", _acceptance(settings))]


_TITRES = (
    "A well is positive by the word of its reader, or from the cut-off of the assay file on. The end point is the last positive "
    "dilution; the titre lies from there up to the first negative dilution. Nothing positive is a result below the starting "
    "dilution, everything positive one of at least the last dilution. Several wells of one dilution are several readings: end "
    "points one step apart give their geometric mean and the interval of both, and are flagged; end points further apart are "
    "rejected. A positive dilution beyond a negative one is flagged, and widens the interval."
)


def _calibration(settings: Immunoassay, used: Sequence[CalibrationUse], *, curves: bool) -> str:
    assays = [
        f"{a.assay[:1].upper()}{a.assay[1:]} ({a.plates} {'plate' if a.plates == 1 else 'plates'}): "
        + "; ".join(f"{way} for {listed(names, most=12)}" for way, names in a.how)
        for a in used
    ]
    text = f"Plates were read from the instruments' own files and computed anew. {'. '.join(assays)}. "
    if not curves:
        return text.strip()
    logistic = any(way.startswith(("4PL", "5PL")) for a in used for way, _ in a.how)
    shape = (
        "A logistic curve is signal = D + (A - D) / (1 + (concentration / C)^B)^G, with G = 1 in a 4PL (Rodbard 1974; Gottschalk "
        "and Dunn 2005). "
        if logistic
        else ""
    )
    return (
        f"{text}{shape}Curves were fitted to the standards of their plate by weighted least squares, logistic ones from up to "
        f"{settings.starts} starting points; y in a weight is the mean signal of a well's level. Levels of standards that come "
        "back outside the tolerance leave the fit, as long as enough levels stay; anchor points steady the fit and are not "
        "judged. Concentrations are read off the curve exactly, multiplied by the dilution unless the assay file says "
        "otherwise, and averaged over the wells of one dilution. Of several dilutions the one nearest to the middle of the "
        "curve counts; one that may be past the hook never does. Intervals are at "
        f"{100 * settings.confidence:g} %: the uncertainty of the curve and the scatter of so many wells (that of the standards, "
        "or the sample's own where it is larger), by the delta method on the logarithm (O'Connell, Belanger and Haaland 1993). They do not hold what differs between plates."
    )


def _limits(settings: Immunoassay, used: Sequence[CalibrationUse]) -> str:
    sources = list(dict.fromkeys(source for assay in used for source in assay.limits))
    explained = {
        LIMITS_FROM[
            "precision_profile"
        ]: "the stretch of the curve where the CV of a back-calculated concentration is at most "
        f"{settings.max_profile_cv_percent:g} %",
        LIMITS_FROM["accepted_range"]: "the lowest and the highest accepted level of standards",
        LIMITS_FROM["assay_file"]: "the limits of the assay file",
    }
    text = f"Limits of quantification are {', or '.join(explained[s] for s in sources)}. " if sources else ""
    return (
        f"{text}The limit of detection of a plate, where the assay file gives none, is the concentration whose signal is the mean of "
        f"at least three blanks and {settings.lod_sd:g} of their standard deviations; above the lower limit of quantification it "
        "takes its place. Both are multiplied by the dilution of the sample. A result beyond a limit is known only as a bound."
    )


def _acceptance(settings: Immunoassay) -> str:
    rules = Acceptance(settings.acceptance, RULES, "immunoassay.acceptance")
    by_consequence: dict[str, list[str]] = {"reject": [], "flag": [], "ignore": []}
    for name, rule in RULES.items():
        by_consequence[rules.limit(name).consequence].append(f"{rule.quantity}: {rules.limit_text(name)}")
    told = {word: "; ".join(lines) or "none" for word, lines in by_consequence.items()}
    westgard = settings.westgard
    names = [rule.replace("_", "-") for rule in westgard.rules]
    return (
        f"Unless an assay file says otherwise, a result was rejected outside these limits: {told['reject']}. It was flagged outside "
        f"these: {told['flag']}. "
        + (f"Not looked at: {told['ignore']}. " if by_consequence["ignore"] else "")
        + "A rule of a curve, a blank or a control counts for all results of its target on the plate. Controls, blanks and curves "
        f"are followed over the plates from {westgard.min_plates} plates on; the first {westgard.baseline_plates} accepted "
        f"plates set centre and standard deviation. Westgard rules: {listed(names, most=9) or 'none'}; 1-2s only warns."
    )
