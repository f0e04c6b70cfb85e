import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cartrace import provenance, registry
from cartrace.problems import InputError
from cartrace.provenance import SourceError, sources


@pytest.fixture
def toy(tmp_path):
    """A package whose files are written by the tests."""
    package = tmp_path / "toy"

    def write(files):
        for name, text in {"__init__.py": "", **files}.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return package

    return write


def names(paths, package):
    return [str(Path(p).relative_to(package)) for p in paths]


def test_imports_are_followed_through_other_modules(toy):
    package = toy({"a.py": "import toy.b\n", "b.py": "from toy.c import f\n", "c.py": "", "unused.py": ""})
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py", "b.py", "c.py"]


def test_an_import_inside_a_function_counts(toy):
    package = toy({"a.py": "def f():\n    from toy import lazy\n    return lazy\n", "lazy.py": ""})
    assert "lazy.py" in names(sources("toy.a", package=package), package)


def test_an_import_for_type_checkers_does_not_count_but_its_else_branch_does(toy):
    package = toy(
        {
            "a.py": "import typing\nif typing.TYPE_CHECKING:\n    import toy.b\nelse:\n    import toy.c\n",
            "b.py": "",
            "c.py": "",
        }
    )
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py", "c.py"]


def test_the_packages_on_the_way_and_what_they_import_count(toy):
    package = toy({"sub/__init__.py": "from . import helper\n", "sub/helper.py": "", "sub/leaf.py": ""})
    assert names(sources("toy.sub.leaf", package=package), package) == [
        "__init__.py",
        "sub/__init__.py",
        "sub/helper.py",
        "sub/leaf.py",
    ]


def test_relative_imports_are_resolved_from_their_own_folder(toy):
    package = toy(
        {
            "sub/__init__.py": "",
            "sub/leaf.py": "from ..top import f\nfrom .near import g\nfrom .. import other\n",
            "sub/near.py": "",
            "near.py": "",
            "top.py": "",
            "other.py": "",
        }
    )
    assert names(sources("toy.sub.leaf", package=package), package) == [
        "__init__.py",
        "other.py",
        "sub/__init__.py",
        "sub/leaf.py",
        "sub/near.py",
        "top.py",
    ]


def test_circular_imports_end(toy):
    package = toy({"a.py": "import toy.b\n", "b.py": "import toy.a\n"})
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py", "b.py"]


def test_names_that_are_no_modules_and_other_packages_are_left_out(toy):
    package = toy({"a.py": "import os.path\nimport toytown\nfrom toy.b import NAME\n", "b.py": "NAME = 1\n"})
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py", "b.py"]


def test_modules_imported_by_name_count(toy):
    package = toy(
        {
            "a.py": 'import importlib\nMODULES: tuple[str, ...] = ("toy.b",)\n'
            'def f():\n    return importlib.import_module("toy.c")\n',
            "b.py": "",
            "c.py": "",
        }
    )
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py", "b.py", "c.py"]


def test_data_files_declared_by_a_module_count(toy):
    package = toy({"a.py": 'DATA_FILES = ("pages/*.j2",)\n', "pages/one.j2": "", "pages/two.j2": ""})
    assert names(sources("toy.a", package=package), package) == [
        "__init__.py",
        "a.py",
        "pages/one.j2",
        "pages/two.j2",
    ]


def test_a_data_pattern_without_a_file_is_an_error(toy):
    package = toy({"a.py": 'DATA_FILES = ("pages/*.j2",)\n'})
    with pytest.raises(SourceError, match=r"pages/\*\.j2"):
        sources("toy.a", package=package)


def test_an_unknown_module_is_an_error_that_names_it(toy):
    package = toy({"a.py": "import toy.gone\n"})
    with pytest.raises(SourceError, match=r"no module 'toy\.nothing' in toy \(asked for\)"):
        sources("toy.nothing", package=package)
    with pytest.raises(SourceError, match=r"no module 'toy\.gone' in toy \(imported by 'toy\.a'\)"):
        sources("toy.a", package=package)
    with pytest.raises(SourceError, match="numpy"):
        sources("numpy", package=package)


def test_a_file_that_cannot_be_parsed_is_an_error_with_its_line(toy):
    package = toy({"a.py": "x = 1\ndef broken(:\n"})
    with pytest.raises(SourceError, match=r"a\.py, line 2"):
        sources("toy.a", package=package)


def test_nothing_is_imported(toy):
    package = toy({"a.py": "raise RuntimeError('this file must not run')\n"})
    assert names(sources("toy.a", package=package), package) == ["__init__.py", "a.py"]


def test_paths_are_absolute_existing_and_the_same_each_time():
    first = sources("cartrace.tables", "cartrace.units")
    assert first == sources("cartrace.tables", "cartrace.units") == sorted(first)
    assert all(Path(p).is_absolute() and Path(p).is_file() for p in first)
    first.clear()
    assert sources("cartrace.tables", "cartrace.units"), "the cache must not be reachable from outside"


def test_the_metric_registry_rests_on_every_module_that_it_loads():
    found = sources("cartrace.registry")
    assert registry.MODULES
    for module in registry.MODULES:
        assert set(sources(module)) <= set(found)
        assert any(path.endswith(module.rpartition(".")[2] + ".py") for path in found)


def test_a_plate_rests_on_every_reader():
    found = provenance.sources_of_script("scripts/pcr/quantify_plate.py")
    readers = {path.stem for path in Path("src/cartrace/pcr/readers").glob("*.py")}
    assert len(readers) > 10
    assert readers == {Path(f).stem for f in found if Path(f).parent.name == "readers"}


def test_a_script_rests_on_what_it_imports_and_is_not_listed_itself(toy, tmp_path):
    package = toy({"a.py": "import toy.b\n", "b.py": "", "unused.py": ""})
    script = tmp_path / "do_it.py"
    script.write_text("import json\nfrom toy import a\n")
    assert names(provenance.sources_of_script(script, package=package), package) == [
        "__init__.py",
        "a.py",
        "b.py",
    ]


def test_the_digest_of_a_program_follows_its_code_and_nothing_else(toy, tmp_path):
    package = toy({"a.py": "import toy.b\n", "b.py": "", "other.py": ""})
    program = tmp_path / "program.py"
    program.write_text("import toy.a\n")

    def digest():
        # In another process the caches are empty.
        for cached in (provenance.code_digest, provenance._closure, provenance._needs, provenance._sha256_of):
            cached.cache_clear()
        return provenance.code_digest(program, package=package)

    first = digest()
    os.utime(package / "b.py", (0, 0))
    (package / "other.py").write_text("x = 1\n")
    assert digest() == first
    seen = {first}
    for path, text in ((package / "b.py", "x = 1\n"), (program, "import toy.a  # edited\n")):
        path.write_text(text)
        os.utime(path, (0, 0))
        seen.add(digest())
    (package / "b.py").rename(package / "c.py")
    (package / "a.py").write_text("import toy.c\n")
    seen.add(digest())
    assert len(seen) == 4
    moved = shutil.copytree(package, tmp_path / "elsewhere" / "toy")
    assert provenance.code_digest(program, package=moved) == digest()


def forget():
    """Empty the caches, as in another process."""
    provenance._KNOWN.clear()
    for name in ("code_digest", "_closure", "_needs", "_file_of", "_sha256_of"):
        getattr(provenance, name).cache_clear()


@pytest.fixture
def remembering(tmp_path, toy):
    """A package, a program, and a function that gives the program's sources with the memory's help."""
    package = toy({"a.py": "from . import b\n", "b.py": "", "c.py": "DATA_FILES = ('x.txt',)\n", "x.txt": ""})
    program = tmp_path / "program.py"
    program.write_text("def f():\n    import toy.a\n")
    memory = tmp_path / "kept" / "imports.json"

    def found():
        forget()
        provenance.remember_imports(memory, [program], package=package)
        return names(provenance.sources_of_script(program, package=package), package)

    yield package, memory, found
    forget()


def test_what_files_import_is_remembered_and_not_parsed_again(remembering, monkeypatch):
    _, memory, found = remembering
    first = found()
    assert first == ["__init__.py", "a.py", "b.py"]
    kept = memory.read_bytes()
    monkeypatch.setattr(provenance.ast, "parse", None)
    assert found() == first
    assert memory.read_bytes() == kept


def test_an_edited_file_is_parsed_anew_whatever_its_date(remembering):
    package, _, found = remembering
    found()
    (package / "b.py").write_text("import toy.c\n")
    os.utime(package / "b.py", (0, 0))
    assert found() == ["__init__.py", "a.py", "b.py", "c.py", "x.txt"]
    # The same content, but the name is no module any more.
    (package / "a.py").write_text("from toy import b, c\n")
    (package / "b.py").write_text("")
    assert "c.py" in found()
    (package / "c.py").unlink()
    assert found() == ["__init__.py", "a.py", "b.py"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"by": "another"}', '{"by": 1, "files": {"x": 1}}'])
def test_a_memory_that_can_t_be_used_costs_only_time(remembering, text):
    _, memory, found = remembering
    first = found()
    memory.write_text(text)
    assert found() == first
    assert len(memory.read_text()) > 100


def test_a_memory_that_can_t_be_written_costs_only_time(remembering):
    _, memory, found = remembering
    memory.parent.write_text("a file where the folder should be")
    assert found() == ["__init__.py", "a.py", "b.py"]


def test_a_broken_file_is_told_when_it_is_asked_for_and_not_before(remembering):
    package, _, found = remembering
    (package / "c.py").write_text("def broken(:\n")
    assert found() == ["__init__.py", "a.py", "b.py"]
    (package / "b.py").write_text("import toy.c\n")
    with pytest.raises(SourceError, match=r"c\.py, line 1"):
        found()


def test_reading_provenance_loads_no_heavy_library():
    code = "import sys, cartrace.provenance as p; p.sources('cartrace.tables'); print({'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    # FIPS 180-2, example B.1.
    assert provenance.sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert provenance.sha256_of(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_planned_file_is_read_and_one_that_changed_is_refused(tmp_path):
    path = tmp_path / "run.fcs"
    path.write_bytes(b"abc")
    planned = provenance.sha256_of(path)
    assert provenance.read_planned(path, planned) == b"abc"
    provenance.check_planned(path, planned)
    path.write_bytes(b"abd")
    for look in (provenance.read_planned, provenance.check_planned):
        with pytest.raises(
            InputError, match=r"run\.fcs.*a file that changed.*the planned content; run again"
        ):
            look(path, planned)
    with pytest.raises(InputError, match="no file that can be read"):
        provenance.read_planned(tmp_path / "gone.fcs", planned)


def test_the_code_version_begins_with_the_package_version():
    version = importlib.metadata.version("cartrace")
    assert provenance.code_version() == version or provenance.code_version().startswith(f"{version} (")


def test_without_git_the_code_version_is_the_package_version(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.code_version() == importlib.metadata.version("cartrace")


def test_versions_name_python_and_the_libraries_behind_the_numbers():
    found = provenance.versions()
    assert {"python", "cartrace", "pandas", "numpy", "scipy", "snakemake"} <= set(found)
    assert found["pandas"] == importlib.metadata.version("pandas")
