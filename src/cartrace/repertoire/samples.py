"""Libraries and samples of one subject, as the plan of a job has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from cartrace.repertoire.vocabulary import B_LOCI, T_LOCI

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a subject."""

    sample_id: str
    matrix: str
    infusion: int
    day: float
    """Days from that infusion."""
    study_day: float
    visit: str | None
    pre_infusion: bool
    """Whether it was taken before the subject's first infusion."""

    @property
    def infusion_day(self) -> float:
        """Study day of the infusion that the sample belongs to."""
        return self.study_day - self.day

    @property
    def is_product(self) -> bool:
        """Whether it is of an infusion product."""
        return self.matrix == "infusion_product"

    @property
    def order(self) -> tuple[float, bool, str]:
        """Key by which samples are sorted: by study day, the product before the blood of its day."""
        return self.study_day, not self.is_product, self.sample_id

    def is_after(self, product: Sample) -> bool:
        """Say whether it was taken after the infusion of ``product``, in whatever compartment.

        On the day of the first infusion ``pre_infusion`` tells; on that of a later one nothing does, and the
        sample is not taken for one from after it.
        """
        if self.is_product or self.pre_infusion:
            return False
        at = product.infusion_day
        return self.study_day > at or self.study_day == at == 0

    def columns(self) -> dict[str, Any]:
        """Return its columns as the tables have them."""
        return {c: getattr(self, c) for c in ("sample_id", "infusion", "day", "study_day", "matrix")}


@dataclass(frozen=True, slots=True)
class PlannedLibrary:
    """One library and the sample that it is of."""

    library_id: str
    sample: Sample
    sort: str
    cells: bool
    """Whether it has a count matrix: types and calls exist."""
    tcr: bool | None = None
    bcr: bool | None = None
    """Whether the receptor was sequenced; None: not told."""

    def with_receptors(self, chains: pd.DataFrame) -> PlannedLibrary:
        """Take a receptor for sequenced where the plan does not tell and a chain of it was found (CHAINS)."""
        loci = set(chains["locus"])
        return replace(
            self,
            tcr=bool(loci & set(T_LOCI)) if self.tcr is None else self.tcr,
            bcr=bool(loci & set(B_LOCI)) if self.bcr is None else self.bcr,
        )


def planned(records: Iterable[Mapping[str, Any]]) -> tuple[PlannedLibrary, ...]:
    """Make the libraries of a plan, in the order of their samples; the subject of a record is left out.

    Raises
    ------
    ValueError
        For a record that lacks a key or has an unknown one.
    """
    facts = {f.name for f in fields(Sample)}
    libraries = []
    try:
        for record in records:
            sample = Sample(**{key: record[key] for key in record if key in facts})
            own = {key: record[key] for key in record if key not in {*facts, "subject_id"}}
            libraries.append(PlannedLibrary(sample=sample, **own))
    except TypeError as error:
        raise ValueError(f"--plan: {error}") from None
    return tuple(sorted(libraries, key=lambda lib: (lib.sample.order, lib.library_id)))


def samples_of(libraries: Iterable[PlannedLibrary]) -> tuple[Sample, ...]:
    """Return each sample once, in time."""
    return tuple(
        sorted({lib.sample.sample_id: lib.sample for lib in libraries}.values(), key=lambda s: s.order)
    )


def library_order(libraries: Sequence[PlannedLibrary]) -> dict[str, int]:
    """Return library -> rank of its sample in time, from 0; samples of one day share it, the product comes before."""
    moments = sorted({lib.sample.order[:2] for lib in libraries})
    return {lib.library_id: moments.index(lib.sample.order[:2]) for lib in libraries}
