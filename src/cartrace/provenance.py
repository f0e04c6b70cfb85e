"""Where a result comes from: the source files, versions and hashes behind it.

Snakemake tracks scripts but not the package that they import. Each rule
therefore has one hash of all the code behind its program as a param
(:func:`code_digest`), and a changed function reruns exactly the rules that rest
on it. This module is read while the Snakefile is parsed, so it uses nothing
beyond the standard library.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from cartrace.files import read_bytes, write_whole
from cartrace.problems import InputError, Problem

PACKAGE = Path(__file__).resolve().parent
DISTRIBUTIONS = ("cartrace", "snakemake", "pandas", "numpy", "scipy", "lifelines", "pyarrow", "duckdb")


class SourceError(ValueError):
    """A first-party module is missing or cannot be parsed."""


def sources(*modules: str, package: Path = PACKAGE) -> list[str]:
    """List the first-party files that ``modules`` rest on, without importing any.

    Followed are ``import`` and ``from ... import`` anywhere in a file (also
    inside functions), relative imports, ``import_module`` with a literal name,
    and the ``__init__.py`` files that Python runs on the way. Imports under
    ``if TYPE_CHECKING`` never run and are left out. Two module-level constants
    count as well, since no import statement shows them:

    - ``MODULES = ("cartrace.kinetics.nca", ...)``: modules imported by name;
    - ``DATA_FILES = ("templates/*.j2", ...)``: files that the module reads, as
      glob patterns relative to its folder.

    Parameters
    ----------
    *modules
        Dotted names, such as ``cartrace.kinetics.nca``.
    package
        Folder of the top-level package. Its name is the first part of every
        first-party module.

    Returns
    -------
    list of str
        Absolute paths, sorted.

    Raises
    ------
    SourceError
        When a module asked for, or one imported on the way, does not exist,
        when a file cannot be parsed, or when a data pattern finds no file.
    """
    return list(_closure(modules, package.resolve()))


def sources_of_script(path: str | Path, *, package: Path = PACKAGE) -> list[str]:
    """List the first-party files that a program rests on, without running it.

    Parameters
    ----------
    path
        A Python file outside the package, such as a program of ``scripts/``.
    package
        Folder of the top-level package.

    Returns
    -------
    list of str
        Absolute paths, sorted, without ``path`` itself.

    Raises
    ------
    SourceError
        As :func:`sources`.
    """
    modules, _ = _needs(Path(path), "__main__", package.resolve())
    return sources(*modules, package=package)


@cache
def code_digest(path: str | Path, *, package: Path = PACKAGE) -> str:
    """Return one SHA-256 of a program's file and of the files of :func:`sources_of_script`.

    It follows names inside the package and content, never dates or the folder of the clone.

    Raises
    ------
    SourceError
        As :func:`sources`.
    """
    files = [Path(name) for name in sources_of_script(path, package=package)]
    root = package.resolve()
    parts = [(Path(path).name, sha256_of(path))]
    parts += [(file.relative_to(root).as_posix(), _sha256_of(file)) for file in files]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _sha256_of(path: Path) -> str:
    return sha256_of(path)


@cache
def _closure(modules: tuple[str, ...], package: Path) -> tuple[str, ...]:
    files: set[Path] = set()
    seen: set[str] = set()
    waiting = [(module, "asked for") for module in modules]
    while waiting:
        module, asked_by = waiting.pop()
        parts = module.split(".")
        # Python runs each package on the way: a.b.c needs a, then a.b.
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if name in seen:
                continue
            path = _file_of(name, package)
            if path is None:
                raise SourceError(f"no module '{name}' in {package.name} ({asked_by})")
            seen.add(name)
            imported, data = _needs(path, name, package)
            files.add(path)
            files.update(data)
            waiting += [(other, f"imported by '{name}'") for other in imported]
    return tuple(sorted(map(str, files)))


@cache
def _file_of(module: str, package: Path) -> Path | None:
    top, *rest = module.split(".")
    if top != package.name:
        return None
    base = package.joinpath(*rest)
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


class _Named(NamedTuple):
    """What one file names, wherever it lies; lists, as JSON gives them back."""

    imports: list[str]
    """By ``import``, and by ``import_module`` with a literal name."""
    origins: list[tuple[int, str, list[str]]]
    """By ``from ... import``: dots, module and names."""
    modules: list[str]
    data_files: list[str]


_KNOWN: dict[str, _Named] = {}
"""By the SHA-256 of the file that names it."""


def remember_imports(memory: Path, programs: Iterable[Path], *, package: Path = PACKAGE) -> None:
    """Take what files import from ``memory``, and renew that when a file is not in it.

    Parsing every program and the package takes longer than all else that is done with them at each start.
    What a file names is known by its content, and forgotten when this module or Python changes; a memory
    that can't be read or written costs only time. A file that can't be parsed is left for who asks for it.
    """
    by = f"{platform.python_version()} {_sha256_of(Path(__file__).resolve())}"
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        told = json.loads(memory.read_bytes())
        if told["by"] == by:
            _KNOWN.update({sha256: _Named(*named) for sha256, named in told["files"].items()})
    found: dict[str, _Named] = {}
    unknown = False
    for path in [*programs, *package.rglob("*.py")]:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        unknown = unknown or sha256 not in _KNOWN
        with suppress(SourceError):
            found[sha256] = _named(content, path.name)
    if unknown:
        _KNOWN.update(found)
        with suppress(OSError):
            write_whole(memory, json.dumps({"by": by, "files": found}))


@cache
def _needs(path: Path, module: str, package: Path) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Return the first-party modules and the data files that one file names."""
    named = _named(path.read_bytes(), path.name)
    home = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = list(named.imports)
    for level, place, imported in named.origins:
        origin = _absolute(level, place, home)
        names.append(origin)
        # `from package import name` runs package.name only where that is a module.
        names += [f"{origin}.{name}" for name in imported if _file_of(f"{origin}.{name}", package)]
    names += named.modules
    return (
        tuple(dict.fromkeys(n for n in names if n.split(".")[0] == package.name)),
        tuple(_data_files(named.data_files, path)),
    )


def _named(content: bytes, name: str) -> _Named:
    known = _KNOWN.get(hashlib.sha256(content).hexdigest()) if _KNOWN else None
    if known:
        return known
    try:
        tree = ast.parse(content, filename=name)
    except SyntaxError as error:
        raise SourceError(f"{name}, line {error.lineno}: {error.msg}") from error
    named = _Named([], [], _constant(tree, "MODULES"), _constant(tree, "DATA_FILES"))
    # Imports are statements; only a call may stand deeper.
    for node in _running(tree, ast.iter_child_nodes if b"import_module" in content else _statements):
        if isinstance(node, ast.Import):
            named.imports.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            named.origins.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Call):
            named.imports.extend(_literal_import(node))
    return named


def _running(node: ast.AST, children: Callable[[ast.AST], Iterator[ast.AST]]) -> Iterator[ast.AST]:
    """Walk the tree without the branches that only a type checker reads."""
    for child in children(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for statement in child.orelse:
                yield statement
                yield from _running(statement, children)
            continue
        yield child
        yield from _running(child, children)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """List the statements inside a statement, and the handlers and cases that hold some."""
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        yield from getattr(node, name, ())


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _absolute(level: int, module: str, home: str) -> str:
    if not level:
        return module
    parts = home.split(".")
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, *([module] if module else [])])


def _literal_import(call: ast.Call) -> list[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name == "import_module" and call.args and isinstance(call.args[0], ast.Constant):
        return [str(call.args[0].value)]
    return []


def _constant(tree: ast.Module, name: str) -> list[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
            value: ast.expr | None = statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        else:
            continue
        if value is not None and any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return [str(item) for item in ast.literal_eval(value)]
    return []


def _data_files(patterns: list[str], path: Path) -> Iterator[Path]:
    for pattern in patterns:
        found = sorted(p for p in path.parent.glob(pattern) if p.is_file())
        if not found:
            raise SourceError(f"{path.name}: DATA_FILES names '{pattern}', but there is no such file")
        yield from found


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_planned(path: Path, sha256: str) -> bytes:
    """Return the content of a file of the plan.

    Raises
    ------
    InputError
        When it can't be read, or is no longer what was planned.
    """
    content = read_bytes(path)
    _compare(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def check_planned(path: Path, sha256: str) -> None:
    """Raise an InputError when a file is no longer what was planned; for readers that open it themselves.

    To be called after reading: what was read then is what was planned.
    """
    _compare(path, sha256_of(path), sha256)


def _compare(path: Path, found: str, planned: str) -> None:
    # Each row says which content it comes from; a file that changed meanwhile would lie.
    if found != planned:
        raise InputError([Problem(str(path), "a file that changed", "the planned content; run again")])


def code_version() -> str:
    """Return the version of cartrace, with the commit when it runs from a clone.

    ``0.1.0``, ``0.1.0 (a1b2c3d4e5f6)``, or ``0.1.0 (a1b2c3d4e5f6+dirty)`` when
    tracked files differ from that commit.
    """
    version = _version_of("cartrace") or "unknown"
    # A package installed inside someone's clone is no part of it: ask for the file itself.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return version
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return version
    dirty = "+dirty" if _git("status", "--porcelain", "--untracked-files=no", "--", ":/") else ""
    return f"{version} ({commit}{dirty})"


def _git(*arguments: str) -> str | None:
    # Inside a git hook these variables would point git at another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=PACKAGE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the versions of Python, cartrace and the libraries behind the numbers.

    A library that is not installed is left out.
    """
    found = {name: _version_of(name) for name in DISTRIBUTIONS}
    return {"python": platform.python_version(), **{k: v for k, v in found.items() if v}}


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
