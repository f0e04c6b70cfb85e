"""A regular expression for one of many names.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import groupby


def one_of(names: Collection[str]) -> str:
    """Return a regular expression that fits each of the names and nothing else, as a whole.

    Names are grouped by how they begin. In a plain list of names every match looks at all of them, so
    that matching thousands of files with thousands of names grows with their square.

    >>> one_of(["run_1", "run_12", "tube"])
    '(?:run_1(?:|2)|tube)'
    """
    return _tree(sorted(set(names))) if names else "(?!)"


def _tree(names: list[str]) -> str:
    start = os.path.commonprefix([names[0], names[-1]])  # noqa: RUF071 - by character is what is wanted
    rest = [name[len(start) :] for name in names]
    if rest == [""]:
        return re.escape(start)
    branches = [_tree(list(group)) for _, group in groupby(rest, key=lambda name: name[:1])]
    return f"{re.escape(start)}(?:{'|'.join(branches)})"
