"""Genes of concern: a list of the user's own, one symbol a line."""

from __future__ import annotations

import re

from cartrace.problems import InputError, Problem, plain

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")
_MOST_TOLD = 10
_BETWEEN = re.compile(r"[,;/|]")
_MARKS = " *~!"
"""INSPIIRED marks genes: * within, ~ near an oncogene, ! in a list of lymphoma genes."""


def parse_genes(text: str, file: str) -> frozenset[str]:
    """Return the symbols in capitals; what follows ``#`` is a remark.

    Aliases are not resolved: symbols must be those of the table of sites.

    Raises
    ------
    InputError
        For lines with something else than one symbol, and a list without any.
    """
    problems, genes = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        symbol = line.split("#")[0].strip()
        if not symbol:
            continue
        if not _SYMBOL.fullmatch(symbol):
            problems.append(Problem(file, plain(repr(symbol), 60), "one gene symbol a line", number))
        genes.add(symbol.upper())
    if len(problems) > _MOST_TOLD:
        more = Problem(file, f"{len(problems) - _MOST_TOLD} more lines like these", "one gene symbol a line")
        problems = [*problems[:_MOST_TOLD], more]
    if not genes and not problems:
        problems.append(Problem(file, "no gene", "gene symbols, one a line"))
    if problems:
        raise InputError(problems)
    return frozenset(genes)


def symbols_of(text: str) -> list[str]:
    """Return the symbols of a table's cell, which can name several.

    >>> symbols_of("ATP1A1,ATP1A1-AS1 *")
    ['ATP1A1', 'ATP1A1-AS1']
    """
    return [s for part in _BETWEEN.split(text) if (s := part.strip(_MARKS))]
