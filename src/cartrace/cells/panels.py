"""Marker panels: which genes tell a lineage, a type, a state and a phase; the file resources/cells/panels.yaml.

Light: pydantic and nothing heavier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES, PHASES, T_STATES
from cartrace.intake.mapping import Part, Text, read_yaml
from cartrace.problems import did_you_mean
from cartrace.validation import validated

Genes = tuple[Text, ...]


class Panel(Part):
    """The genes of one class."""

    named: str | None = Field(
        None, alias="is", description="Lineage that the class stands for; its own name when empty."
    )
    cell_type: str | None = Field(
        None, alias="type", description="Type that the class is, in a lineage with several classes."
    )
    sources: tuple[str, ...] = Field(min_length=1, description="Keys of `sources`: where the genes are from.")
    markers: dict[str, Genes] = Field(description="Level -> genes that a cell of the class expresses so.")
    maybe: Genes = Field((), description="Genes that it may or may not express: only their presence speaks.")
    absent: Genes = Field((), description="Genes that it does not express.")

    @property
    def genes(self) -> set[str]:
        """All genes that the panel names."""
        return {*self.maybe, *self.absent, *(g for genes in self.markers.values() for g in genes)}

    @model_validator(mode="after")
    def _one_place_each(self) -> Panel:
        listed = [g for genes in self.markers.values() for g in dict.fromkeys(genes)]
        listed += [*dict.fromkeys(self.maybe), *dict.fromkeys(self.absent)]
        if twice := sorted({g for g in listed if listed.count(g) > 1}):
            raise ValueError(f"a gene stands in one list only; twice here: {', '.join(twice)}")
        return self


class Panels(Part):
    """All panels: lineages, types within a lineage, states of T cells, phases of the cell cycle."""

    sources: dict[str, Text] = Field(description="Key -> publication, or what else a panel rests on.")
    levels: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="Name of a level -> UMIs of a gene in 10,000 UMIs of a cell."
    )
    shared_with_cars: Genes = Field(
        (), description="Genes that CARs borrow domains from; what they speak for is capped."
    )
    lineages: dict[str, Panel]
    types: dict[str, dict[str, Panel]] = Field(default_factory=dict)
    states: dict[str, Panel] = Field(default_factory=dict)
    cell_cycle: dict[str, Panel] = Field(default_factory=dict)
    genes: dict[str, Genes] = Field(
        default_factory=dict, description="Gene -> its other names: Ensembl id, former symbols."
    )

    def groups(self) -> Iterator[tuple[str, Mapping[str, Panel]]]:
        """Give every group of panels that compete for a cell, with its place in the file."""
        yield "lineages", self.lineages
        for lineage, panels in self.types.items():
            yield f"types.{lineage}", panels
        yield "states", self.states
        yield "cell_cycle", self.cell_cycle

    @property
    def all_genes(self) -> tuple[str, ...]:
        """Genes of all panels, sorted."""
        return tuple(
            sorted({g for _, group in self.groups() for panel in group.values() for g in panel.genes})
        )

    @model_validator(mode="after")
    def _known_words(self) -> Panels:
        faults = []
        lineages = set(LINEAGES) - {"unassigned"}
        for name, panel in self.lineages.items():
            if (panel.named or name) not in lineages:
                faults.append(f"lineages.{name} is no lineage; allowed: {', '.join(sorted(lineages))}")
            elif panel.cell_type and CELL_TYPES.get(panel.cell_type) != (panel.named or name):
                faults.append(f"lineages.{name}.type: '{panel.cell_type}' is no type of its lineage")
        for lineage, panels in self.types.items():
            allowed = {t for t, of in CELL_TYPES.items() if of == lineage and not t.startswith("unassigned")}
            allowed -= {"double_negative_t"}
            words = ", ".join(sorted(allowed)) or "none"
            faults += [f"types.{lineage}.{n}; allowed: {words}" for n in panels if n not in allowed]
        states = set(T_STATES) - {"unassigned", "proliferating", "treg"}
        faults += [
            f"states.{s}; allowed: {', '.join(sorted(states))}" for s in self.states if s not in states
        ]
        phases = set(PHASES) - {"G1"}
        faults += [f"cell_cycle.{p}; allowed: S, G2M" for p in self.cell_cycle if p not in phases]
        for place, group in self.groups():
            for name, panel in group.items():
                for key, given, known in (
                    ("sources", panel.sources, self.sources),
                    ("markers", panel.markers, self.levels),
                ):
                    for word in given:
                        if word not in known:
                            near = did_you_mean(word, known)
                            faults.append(
                                f"{place}.{name}.{key}: '{word}' is not defined above"
                                + (f" (did you mean '{near}'?)" if near else "")
                            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


def read_panels(path: Path, file: str) -> Panels:
    """Read and check a panel file; ``file`` is its name in errors.

    Raises
    ------
    InputError
        With every unknown key, class, level and source.
    """
    return validated(read_yaml(path, file, "panel"), Panels, file, "sources, levels, lineages")
