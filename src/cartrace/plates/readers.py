"""How the reader of a file is found: by the content, among the modules of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from cartrace.plates.source import MAX_BYTES

if TYPE_CHECKING:
    from cartrace.plates.source import Source


class Family(Protocol):
    """What a module with a reader offers."""

    NAME: str
    LOOKED_FOR: str
    """One clause on how its files are known."""

    def recognise(self, source: Source) -> bool:
        """Say whether the content is of this family; never by the file's name."""

    def read(self, source: Source) -> Any:
        """Return the stage's plate, or raise InputError with every problem of the file."""


def family_of(source: Source, modules: Sequence[str], expected: str) -> Family:
    """Return the one family that knows the file.

    Parameters
    ----------
    source
        The file.
    modules
        Names of the modules to ask.
    expected
        What the file ought to be, for messages.

    Raises
    ------
    InputError
        When the file is empty or too large, or not exactly one family recognises it.
    """
    if not source.content:
        raise source.refusal("an empty file", expected)
    if len(source.content) > MAX_BYTES:
        raise source.refusal(f"{len(source.content) / 1e6:.0f} MB", f"at most {MAX_BYTES / 1e6:.0f} MB")
    families = [cast("Family", import_module(module)) for module in modules]
    found = [f for f in families if f.recognise(source)]
    if len(found) == 1:
        return found[0]
    if found:
        claimed = f"a file that {' and '.join(f.NAME for f in found)} both claim"
        raise source.refusal(claimed, "a file of one program")
    looked_for = "; ".join(f"{f.NAME}: {f.LOOKED_FOR}" for f in families)
    raise source.refusal("a file that no reader knows", f"one of these. {looked_for}")
