"""Checks over several libraries: sex of the subject, libraries that look exchanged, wrong construct.

Each gives rows of qc, and which libraries they put in doubt; nothing is corrected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cartrace.problems import plain

if TYPE_CHECKING:
    from cartrace.cells.settings import CarReads, Composition

Row = Mapping[str, Any]

_SEXES = {"f": "f", "female": "f", "w": "f", "weiblich": "f", "woman": "f"} | {
    "m": "m",
    "male": "m",
    "männlich": "m",
    "man": "m",
}
_WORDS = {"f": "female", "m": "male", "both": "both sexes"}
PEAK_DAYS = 28.0
"""Study days in which CAR-T cells expand; a sample without any then, beside a positive one before the infusion, is odd.
House value."""


def sex_of(library: Row, settings: Composition) -> str:
    """Return the sex that the genes of a library tell: f, m, ``both``, or nothing when too few UMIs tell it."""
    x, y = library["xist_umis"], library["y_umis"]
    if x is None or y is None or x + y < settings.min_sex_umis:
        return ""
    share = 100 * y / (x + y)
    most = settings.max_other_sex_percent
    return "f" if share <= most else "m" if share >= 100 - most else "both"


def sex_contradicts(
    libraries: Sequence[Row],
    samples: Mapping[str, Row],
    sexes: Mapping[str, str | None],
    settings: Composition,
) -> Iterator[dict[str, object]]:
    """Tell libraries whose genes are of another sex than their subject; two that fit each other's are named.

    A transplant from a donor of the other sex looks the same, and two subjects of one sex are not told apart.

    Parameters
    ----------
    libraries
        Rows of LIBRARIES.
    samples
        library_id -> row of SAMPLES.
    sexes
        subject_id -> sex as the subjects sheet writes it.
    """
    wrong: list[tuple[Row, str, str]] = []
    for library in libraries:
        told = sex_of(library, settings)
        said = _SEXES.get(
            str(sexes.get(samples[library["library"]]["subject_id"]) or "").strip().casefold(), ""
        )
        if told and said and told != said:
            wrong.append((library, told, said))
    for library, told, said in wrong:
        name = library["library"]
        twins = [o["library"] for o, t, s in wrong if (t, s) == (said, told)]
        yield {
            "check": "sex_contradicts",
            "verdict": "warn",
            "source_file": name,
            "value": f"{library['xist_umis']} UMIs of XIST, {library['y_umis']} of the Y chromosome",
            "limit": _WORDS[said],
            "limit_source": "subjects sheet",
            "message": f"the genes of {name} are those of {_WORDS[told]}, and the subject is {_WORDS[said]}",
            "suggestion": f"perhaps exchanged with {', '.join(twins)}"
            if twins
            else "cells of two people, or a transplant"
            if told == "both"
            else "perhaps a sample of another subject, or a transplant",
        }


def exchanged_libraries(
    fractions: Mapping[str, Row], samples: Mapping[str, Row], before: frozenset[str]
) -> Iterator[dict[str, object]]:
    """Tell a library from before the infusion with CAR+ T cells, and a later one of the subject with fewer.

    Parameters
    ----------
    fractions, samples
        library_id -> row of CAR_FRACTIONS and of SAMPLES.
    before
        Samples from before the first infusion.
    """
    by_subject: dict[str, list[str]] = defaultdict(list)
    for name, row in fractions.items():
        if row["detection"] is not None and row["verdict"] != "rejected":
            by_subject[samples[name]["subject_id"]].append(name)
    for names in by_subject.values():
        # The product is taken before the infusion too, and is full of CAR+ cells.
        blood = [n for n in names if samples[n]["matrix"] != "infusion_product"]
        late = [
            n
            for n in blood
            if samples[n]["sample_id"] not in before and 0 <= samples[n]["study_day"] <= PEAK_DAYS
        ]
        for early in (n for n in blood if samples[n]["sample_id"] in before):
            mine = fractions[early]
            fewer = [n for n in late if fractions[n]["upper"] < mine["lower"]]
            if mine["detection"] != "BLD" and fewer:
                least = min(fewer, key=lambda n: (fractions[n]["upper"], n))
                yield {
                    "check": "library_exchanged",
                    "verdict": "warn",
                    "source_file": early,
                    "value": least,
                    "limit": "fewer CAR+ T cells before the infusion than after it",
                    "message": f"at least {mine['lower']:.3g} % of T cells carry the CAR before the infusion, and at most "
                    f"{fractions[least]['upper']:.3g} % in {least} on day {samples[least]['study_day']:g} of the same subject",
                    "suggestion": f"perhaps {early} and {least} are exchanged",
                }


def wrong_construct(car_reads: Sequence[Row], settings: CarReads) -> frozenset[str]:
    """Return libraries whose specific CAR molecules are mostly not of the product's constructs.

    Their own job tells it as a finding; here their numbers are put in doubt.
    """
    by_library: dict[str, list[Row]] = defaultdict(list)
    for row in car_reads:
        by_library[row["library"]].append(row)
    found = set()
    for name, rows in by_library.items():
        judged = [r for r in rows if r["support"] is not None]
        own = sum(r["support"] for r in judged if r["in_product"])
        molecules = sum(r["molecules"] for r in rows)
        if judged and molecules >= settings.min_support_molecules and own < settings.min_support:
            found.add(name)
    return frozenset(found)


def about(findings: Sequence[Row]) -> dict[str, set[str]]:
    """Return library_id -> names of the findings about it, which flag its numbers."""
    flags: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        flags[plain(str(finding["source_file"]))].add(str(finding["check"]))
    return flags
