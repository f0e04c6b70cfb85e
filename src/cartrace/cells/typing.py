"""Types and states of the cells of one library: panels, then neighbours, then what is left open stays open.

Neither the CAR's counts nor any CAR call enter: CAR features are in no panel, no total and no
neighbourhood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cartrace.cells.neighbourhood import (
    Variation,
    log_normalised,
    nearest,
    principal_components,
    settle,
    variable_columns,
    variation_of,
)
from cartrace.cells.scores import (
    Background,
    Evidence,
    Floats,
    GeneCounts,
    Group,
    Integers,
    background_rates,
    gather,
    group_of,
    learned,
    log_ratios,
    match_genes,
    own_markers,
    posteriors,
    without_genes,
)
from cartrace.cells.t_subsets import SPLIT_GENES, Split, SplitSettings, clear_cells, lacking, learn_split
from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from cartrace.cells.panels import Panel, Panels
    from cartrace.cells.settings import Types

Flags = NDArray[np.bool_]
Words = NDArray[np.object_]
_SEGMENT = re.compile(r"(TR[ABDG]|IG[HKL])[VDJ]\d")
"""Receptor segments: cells that share them are of one clone, not of one type."""
_UNSWITCHED = ("IGHM", "IGHD")
_SWITCHED_TYPES = {"switched_memory_b": 1.0, "double_negative_b": 0.0}
"""What a switched isotype says for a B-cell type; double-negative B cells are of both kinds [recalled]."""
_OPEN_TYPE = {
    n: n if n in CELL_TYPES else f"unassigned_{n}" if f"unassigned_{n}" in CELL_TYPES else "plasma_cell"
    for n in LINEAGES
}
"""Type of a cell of which only the lineage is known; a plasmablast would show that it divides."""
_FAMILY = {"nk": "t", "plasma": "b", "dendritic": "monocyte"}
"""Lineages that share so many genes that both at once are no sign of two cells."""
_FEWEST = 10
"""Cells below which there are no components, and so no neighbours."""


@dataclass(frozen=True)
class Matrix:
    """A count matrix that is read in blocks of cells, as often as needed.

    Attributes
    ----------
    blocks : gives the blocks in the order of the cells
    ids, symbols : (features,) ids and names of the genes
    usable : (features,) genes; neither CAR features nor surface tags
    """

    blocks: Callable[[], Iterable[csr_array]]
    ids: NDArray[np.str_]
    symbols: NDArray[np.str_]
    usable: Flags


@dataclass(frozen=True)
class Facts:
    """What else is known of the cells.

    Attributes
    ----------
    passed : (cells,) whether they keep the limits of quality; only those are learned from
    t_receptor, b_receptor : (cells,) whether there is a contig of TRA or TRB, of IGH, IGK or IGL
    isotype : (cells,) constant gene of the IGH contig, or an empty text
    ambient : share of a cell's UMIs that are ambient, 0 to 1; None: not known
    """

    passed: Flags
    t_receptor: Flags
    b_receptor: Flags
    isotype: NDArray[np.str_]
    ambient: float | None = None


@dataclass(frozen=True)
class Surveyed:
    """What two passes over the matrix keep.

    Attributes
    ----------
    counts : of the panels' genes
    variable : (cells, variable genes) UMIs
    symbols : (variable genes,) their names
    learnable : (cells,) cells that neighbours and rates are learned from
    """

    counts: GeneCounts
    variable: csr_array
    symbols: NDArray[np.str_]
    learnable: Flags


@dataclass(frozen=True)
class Typed:
    """Types and states.

    Attributes
    ----------
    lineage, cell_type : (cells,)
    confidence : (cells,) probability of the type; of the likeliest one where it is unassigned
    state, state_confidence : (cells,) None and NaN for cells that are no T cells
    phase : (cells,) None for cells without a type
    cycling : (cells,)
    lineage_scores : (cells, lineages) what markers that only its family of lineages has say for each
        lineage against none, natural logarithms: two at once are two cells
    lineage_names : (lineages,)
    split : what was learned of CD4 and CD8; None without T cells
    markers : group of panels -> class -> marker genes that the matrix has
    genes_percent : genes of the panels that the matrix has, %
    """

    lineage: Words
    cell_type: Words
    confidence: Floats
    state: Words
    state_confidence: Floats
    phase: Words
    cycling: Flags
    lineage_scores: Floats
    lineage_names: tuple[str, ...]
    split: Split | None
    markers: Mapping[str, Mapping[str, int]]
    genes_percent: float


def survey(matrix: Matrix, panels: Panels, passed: Flags, settings: Types) -> Surveyed:
    """Read the matrix twice, in blocks: the panels' genes and the variation, then the variable genes."""
    genes = panels.all_genes
    columns = match_genes(genes, panels.genes, matrix.ids, matrix.symbols, matrix.usable)
    usable = matrix.usable.astype(np.float64)
    totals: list[Floats] = []
    sums: list[Variation] = []

    def passing() -> Iterator[csr_array]:
        first = 0
        for block in matrix.blocks():
            umis = np.asarray(block @ usable, dtype=float).ravel()
            totals.append(umis)
            learn = passed[first : first + len(umis)] & (umis >= settings.min_umis)
            part = block if learn.all() else block[np.flatnonzero(learn)]
            sums.append(variation_of(part, umis[learn]))
            first += len(umis)
            yield block

    counts = gather(passing(), columns, len(genes))
    found = np.zeros(len(genes), dtype=bool)
    found[columns[columns >= 0]] = True
    all_totals = np.concatenate(totals) if totals else np.zeros(0)
    allowed = matrix.usable & ~np.array([bool(_SEGMENT.match(s)) for s in matrix.symbols], dtype=bool)
    chosen = (
        variable_columns(Variation.joined(sums), allowed, settings.variable_genes)
        if sums
        else np.zeros(0, dtype=np.int64)
    )
    place = np.full(len(allowed), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    return Surveyed(
        GeneCounts(genes, counts, all_totals, found),
        gather(matrix.blocks(), place, len(chosen)),
        matrix.symbols[chosen],
        passed & (all_totals >= settings.min_umis),
    )


def type_cells(kept: Surveyed, facts: Facts, panels: Panels, settings: Types) -> Typed:
    """Give every cell its lineage, type, state and phase."""
    engine = _Engine(kept, facts, panels, settings)
    lineages = engine.lineages()
    cell_type, confidence, split, t_near = engine.types(lineages)
    cycle = engine.cycle(panels.cell_cycle)
    cycling = engine.deep & (cycle.cycling >= settings.min_confidence)
    phase = np.where(cycling, cycle.phase, "G1").astype(object)
    phase[~engine.deep] = None
    is_t = lineages.lineage == "t"
    state, state_confidence = engine.states(is_t, t_near)
    treg, divides = cell_type == "treg", is_t & cycling
    state[treg], state_confidence[treg] = "treg", confidence[treg]
    state[divides], state_confidence[divides] = "proliferating", cycle.cycling[divides]
    return Typed(
        lineage=lineages.lineage,
        cell_type=cell_type,
        confidence=confidence,
        state=state,
        state_confidence=state_confidence,
        phase=phase,
        cycling=cycling,
        lineage_scores=lineages.own,
        lineage_names=lineages.names,
        split=split,
        markers=engine.markers,
        genes_percent=100 * float(kept.counts.found.mean()),
    )


@dataclass(frozen=True)
class _Lineages:
    """Lineages, and what they were told by; ``columns`` are those of ``shares`` for each lineage."""

    lineage: Words
    confidence: Floats
    shares: Floats
    columns: Mapping[str, list[int]]
    classes: tuple[str, ...]
    own: Floats
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Cycle:
    cycling: Floats
    phase: Words


class _Engine:
    """The steps, and what they share: counts, background, neighbours."""

    def __init__(self, kept: Surveyed, facts: Facts, panels: Panels, settings: Types) -> None:
        self.kept, self.facts, self.panels, self.settings = kept, facts, panels, settings
        self.deep = kept.counts.totals >= settings.min_umis
        self.receptor_odds = float(np.log((1 - settings.receptor_error) / settings.receptor_error))
        self.markers: dict[str, Mapping[str, int]] = {}
        ambient = settings.ambient_percent / 100 if facts.ambient is None else facts.ambient
        self.evidence = Evidence(
            1 / settings.dispersion,
            settings.most_of_a_gene,
            settings.least_of_a_gene,
            settings.most_of_a_shared_gene,
        )
        self.floor = settings.background_floor
        self.background = background_rates(kept.counts, kept.learnable, Background(ambient, self.floor))
        self.values = log_normalised(kept.variable, kept.counts.totals)
        self.space = self.coordinates(kept.learnable, ())

    def lineages(self) -> _Lineages:
        """Tell the lineages: markers, receptors, neighbours."""
        kept, settings = self.kept, self.settings
        group = self.group("lineages", self.panels.lineages)
        of = [self.panels.lineages[c].named or c for c in group.names]
        scores = self.scores(group, none=True, cells=kept.learnable)
        receptors = np.zeros((len(scores), len(of) + 1))
        for column, name in enumerate(of):
            receptors[:, column] += self.receptor_odds * self.facts.t_receptor * (name == "t")
            receptors[:, column] += self.receptor_odds * self.facts.b_receptor * (name in {"b", "plasma"})
        near = self.neighbours(kept.learnable, self.space)
        shares = self.settled(scores, near, none=True, extra=receptors)
        names = tuple(dict.fromkeys(of))
        columns = [[i for i, o in enumerate(of) if o == n] for n in names]
        by_lineage = np.column_stack([np.zeros(len(shares)), *(shares[:, c].sum(axis=1) for c in columns)])
        exclusive = own_markers(group, [_FAMILY.get(n, n) for n in of])
        alone = log_ratios(kept.counts, exclusive, self.background, self.evidence)
        own = [alone[:, c].max(axis=1) for c in columns]
        best = by_lineage.argmax(axis=1)
        confidence = by_lineage.max(axis=1) * self.deep
        lineage = np.array(["unassigned", *names], dtype=object)[best]
        # "None of them" may be likelier than the likeliest lineage.
        lineage[(confidence < settings.min_confidence) | (shares[:, -1] > confidence)] = "unassigned"
        return _Lineages(
            lineage,
            confidence,
            shares,
            dict(zip(names, columns, strict=True)),
            group.names,
            np.column_stack(own) if own else np.zeros((len(shares), 0)),
            names,
        )

    def types(self, found: _Lineages) -> tuple[Words, Floats, Split | None, Integers]:
        """Tell the types within each lineage; the neighbours among T cells are given back too."""
        cell_type = np.array([_OPEN_TYPE[n] for n in found.lineage], dtype=object)
        confidence = found.confidence.copy()
        split: Split | None = None
        t_near = np.empty((len(cell_type), 0), dtype=np.int64)
        for name, columns in found.columns.items():
            members = found.lineage == name
            if not members.any():
                continue
            learn = self.kept.learnable & members
            if name == "t":
                t_space = self.coordinates(learn, SPLIT_GENES)
                t_near = self.neighbours(learn, t_space)
            classes = [found.classes[i] for i in columns]
            types = [self.panels.lineages[c].cell_type or _OPEN_TYPE[name] for c in classes]
            within = found.shares[:, columns] / np.maximum(
                found.shares[:, columns].sum(axis=1, keepdims=True), 1e-300
            )
            if name in self.panels.types:
                panels = self.panels.types[name]
                group = self.group(f"types.{name}", panels)
                needed = {"cd4_t", "cd8_t"} if name == "t" else set(panels)
                if not needed <= set(group.names):
                    # With one class out of sight, every cell would be one of the others.
                    continue
                if name == "t":
                    split, types, within = self.t_types(group, members, t_near, t_space)
                else:
                    extra = self.isotype_odds(group.names) if name == "b" else None
                    scores = self.scores(group, none=False, cells=learn)
                    types = list(group.names)
                    within = self.settled(scores, self.neighbours(learn, self.space), none=False, extra=extra)
            named = np.array(types, dtype=object)[within.argmax(axis=1)]
            sure = within.max(axis=1)
            if f"unassigned_{name}" in CELL_TYPES:
                named[sure < self.settings.min_confidence] = f"unassigned_{name}"
            cell_type[members] = named[members]
            confidence[members] *= sure[members]
        return cell_type, confidence, split, t_near

    def states(self, is_t: Flags, near: Integers) -> tuple[Words, Floats]:
        """Tell the states of T cells that panels tell; the others keep None."""
        state = np.full(len(is_t), None, dtype=object)
        confidence = np.full(len(is_t), np.nan)
        if not is_t.any():
            return state, confidence
        group = self.group("states", self.panels.states)
        state[is_t] = "unassigned"
        if set(group.names) == set(self.panels.states) and group.names:
            scores = self.scores(group, none=False, cells=self.kept.learnable & is_t)
            share = self.settled(scores, near, none=False)
            sure = share.max(axis=1)
            named = np.array(group.names, dtype=object)[share.argmax(axis=1)]
            named[sure < self.settings.min_state_confidence] = "unassigned"
            state[is_t], confidence[is_t] = named[is_t], sure[is_t]
        return state, confidence

    def isotype_odds(self, types: Iterable[str]) -> Floats:
        """Return what the isotype of the receptor says for each type of B cell, natural logarithms."""
        known = self.facts.isotype != ""
        switched = known & ~np.isin(self.facts.isotype, _UNSWITCHED)
        towards = np.array([_SWITCHED_TYPES.get(t, -1.0) for t in types])
        says = switched.astype(float) - (known & ~switched)
        return np.asarray(self.receptor_odds * np.outer(says, towards))

    def group(self, place: str, panels: Mapping[str, Panel]) -> Group:
        """Return the classes that the matrix has enough markers of; keep how many each has."""
        self.markers[place] = found = group_of(panels, self.kept.counts, self.panels).markers_found
        known = 100 * float(self.kept.counts.found.mean()) >= self.settings.min_genes_percent
        enough = {c: p for c, p in panels.items() if known and found[c] >= self.settings.min_markers}
        return group_of(enough, self.kept.counts, self.panels)

    def coordinates(self, fitted: Flags, left_out: Iterable[str]) -> NDArray[np.float32]:
        """Return principal components of the ``fitted`` cells; zeros where there are too few to have any."""
        if fitted.sum() < _FEWEST or not self.values.shape[1]:
            return np.zeros((len(fitted), 1), dtype=np.float32)
        columns = np.flatnonzero(~np.isin(self.kept.symbols, list(left_out)))
        return principal_components(self.values[:, columns], fitted, self.settings.components)

    def neighbours(self, base: Flags, space: NDArray[np.float32]) -> Integers:
        """Return the nearest ``base`` cells of each cell; none where there are too few."""
        if base.sum() < _FEWEST:
            return np.empty((len(base), 0), dtype=np.int64)
        return nearest(space, base, self.settings.neighbours)

    def scores(self, group: Group, *, none: bool, cells: Flags) -> Floats:
        """Return log ratios with the levels of the panel, then with those of the library's clear cells."""
        counts, settings = self.kept.counts, self.settings
        first = log_ratios(counts, group, self.background, self.evidence)
        shares = posteriors(first, settings.temperature, none)[:, : len(group.names)]
        own = learned(counts, group, shares * cells[:, None], settings.learned_prior_cells)
        return log_ratios(counts, own, self.background, self.evidence)

    def settled(
        self, scores: Floats, neighbours: Integers, *, none: bool, extra: Floats | None = None
    ) -> Floats:
        settings = self.settings
        fixed = np.zeros((len(scores), scores.shape[1] + none)) if extra is None else extra

        def likelihood(log_prior: Floats | None) -> Floats:
            prior = fixed if log_prior is None else fixed + log_prior
            return posteriors(scores, settings.temperature, none, prior)

        return settle(likelihood, neighbours, settings.neighbour_floor, settings.neighbour_rounds)

    def t_types(
        self, group: Group, members: Flags, near: Integers, space: NDArray[np.float32]
    ) -> tuple[Split, list[str], Floats]:
        """Tell CD4, CD8, Treg, gamma-delta and double-negative T cells."""
        counts, settings = self.kept.counts, self.settings
        names = list(group.names)
        learnable = self.kept.learnable & members
        scores = self.scores(group, none=False, cells=learnable)
        cd4, cd8 = (side & learnable for side in clear_cells(counts))
        if not {"cd4_t", "cd8_t"} <= set(names):
            return (
                Split(np.zeros(len(scores)), 0, 0, float("nan")),
                names,
                self.settled(scores, near, none=False),
            )
        four, eight = names.index("cd4_t"), names.index("cd8_t")
        co_expressed = log_ratios(
            counts, without_genes(group, counts, SPLIT_GENES), self.background, self.evidence
        )
        prior = (co_expressed[:, eight] - co_expressed[:, four]) / settings.temperature
        direct = scores[:, eight] - scores[:, four] - settings.temperature * prior
        split = learn_split(
            space.astype(float), prior, cd4, cd8, SplitSettings(least_seeds=settings.split_seeds)
        )
        # The panel's difference of CD4 and CD8 gives way to what was learned; their mean stays.
        odds = (split.log_odds + direct) * settings.temperature
        middle = (scores[:, four] + scores[:, eight]) / 2
        scores[:, four], scores[:, eight] = middle - odds / 2, middle + odds / 2
        shares = self.settled(scores, near, none=False)
        bare = lacking(
            counts,
            near,
            cd4,
            cd8,
            share=settings.lacking_share,
            least_expected=settings.lacking_expected,
        )
        if "treg" in names:
            # A CD4 T cell of which only that is open whether it is a Treg: a CD4 T cell.
            helper = [four, names.index("treg")]
            open_ = shares[:, helper].max(axis=1) < settings.min_confidence
            known = open_ & (shares[:, helper].sum(axis=1) >= settings.min_confidence)
            shares[np.ix_(known, helper)] = np.column_stack(
                [shares[known][:, helper].sum(axis=1), np.zeros(known.sum())]
            )
        if "gamma_delta_t" in names:
            bare = bare * (1 - shares[:, names.index("gamma_delta_t")])
        return split, [*names, "double_negative_t"], np.column_stack([shares * (1 - bare)[:, None], bare])

    def cycle(self, panels: Mapping[str, Panel]) -> _Cycle:
        """Tell the phases; the background is that of the half of the cells with the fewest such UMIs.

        All cells have some UMIs of these genes, and a product may have many that divide: the mean of
        the library would take dividing cells for the background.
        """
        counts, cells, kept = self.kept.counts, len(self.kept.counts.totals), self.kept.learnable
        group = self.group("cell_cycle", panels)
        if not group.names:
            return _Cycle(np.zeros(cells), np.full(cells, "G1", dtype=object))
        background = self.background
        if kept.sum() >= self.settings.learned_prior_cells:
            sums = np.asarray(counts.counts[:, group.genes].sum(axis=1), dtype=float).ravel()
            share = sums / np.maximum(counts.totals, 1.0)
            resting = kept & (share <= np.median(share[kept]))
            background = background_rates(counts, resting, Background(1.0, self.floor))
        divide = self.settings.cycling_prior_percent / 100
        prior = np.log(np.array([*([divide / len(group.names)] * len(group.names)), 1 - divide]))
        scores = log_ratios(counts, group, background, self.evidence)
        shares = posteriors(scores, self.settings.temperature, none=True, log_prior=prior)
        phase = np.array(group.names, dtype=object)[shares[:, :-1].argmax(axis=1)]
        return _Cycle(1 - shares[:, -1], phase)


def overruled(typed: Typed, cell_type: Words, sure: Floats, settings: Types) -> tuple[Typed, Flags, Flags]:
    """Let a trained model name the type, where it and the panels do not contradict each other.

    Where both are sure of a lineage and name different ones, the cell is unassigned; where the
    panels leave the lineage open, or both name one lineage, the model's type counts.

    Parameters
    ----------
    cell_type, sure
        (cells,) the model's types in cartrace's words, and their probabilities.

    Returns
    -------
    Typed
        With the model's types.
    ndarray, ndarray
        (cells,) where lineages contradict each other; where both name one.
    """
    of = np.array([CELL_TYPES[t] for t in cell_type], dtype=object)
    deep = np.array([p is not None for p in typed.phase], dtype=bool)
    open_ = np.array([t.startswith("unassigned") for t in cell_type], dtype=bool)
    speaks = deep & (sure >= settings.min_confidence) & (of != "unassigned")
    both = speaks & (typed.lineage != "unassigned")
    against = both & (typed.lineage != of)
    # An open type of the model tells the lineage, and leaves the type to the panels.
    takes = speaks & ~against & (~open_ | (typed.lineage == "unassigned"))
    lineage = np.where(against, "unassigned", np.where(takes, of, typed.lineage)).astype(object)
    named = np.where(against, "unassigned", np.where(takes, cell_type, typed.cell_type)).astype(object)
    confidence = np.where(takes, sure, typed.confidence)
    is_t, was_t = lineage == "t", typed.lineage == "t"
    state = np.where(is_t & ~was_t, "unassigned", typed.state).astype(object)
    state_confidence = np.where(is_t, typed.state_confidence, np.nan)
    state[is_t & ~was_t & typed.cycling] = "proliferating"
    treg = is_t & (state != "proliferating")
    state[treg & (named == "treg")] = "treg"
    state_confidence = np.where(treg & (named == "treg"), confidence, state_confidence)
    state[treg & (named != "treg") & (state == "treg")] = "unassigned"
    state[~is_t] = None
    return (
        replace(
            typed,
            lineage=lineage,
            cell_type=named,
            confidence=confidence,
            state=state,
            state_confidence=state_confidence,
        ),
        against,
        both,
    )
