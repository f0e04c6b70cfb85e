"""One name travels from the rule to the script, the log and the tests; every rule says what it rests on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cartrace import provenance

REPOSITORY = Path(__file__).resolve().parents[2]
RULE_FILES = sorted(p for p in (REPOSITORY / "workflow/rules").glob("*.smk") if p.stem != "common")
RULES = [
    pytest.param(path.stem, name, body, id=name)
    for path in RULE_FILES
    for name, body in re.findall(
        r"^rule (\w+):\n(.*?)(?=^rule |^def |\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
]


def test_there_are_rules() -> None:
    assert len(RULES) >= 7


@pytest.mark.parametrize(("stage", "name", "body"), RULES)
def test_a_rule_has_a_docstring_a_log_a_benchmark_and_resources(stage: str, name: str, body: str) -> None:
    assert re.match(r'    """[A-Z].*', body), "a rule opens by saying what it does"
    assert re.search(rf'log:\s+"<logs>/{stage}/{name}[./]', body)
    assert re.search(rf'benchmark:\s+"<benchmarks>/{stage}/{name}[./]', body)
    assert "mem_mb=" in body
    assert "runtime=" in body


@pytest.mark.parametrize(("stage", "name", "body"), RULES)
def test_a_rule_is_one_quoted_command_whose_output_goes_to_the_log(stage: str, name: str, body: str) -> None:
    shell = body.split("shell:", 1)[1]
    assert re.match(r'\s+r"""\s+exec &> ?\{log:q\}', shell)
    unquoted = [field for field in re.findall(r"\{([^}]*)\}", shell) if not field.endswith(":q")]
    assert not unquoted, f"unquoted in the shell command: {unquoted}"
    for banned in ("    run:", "    script:", "    message:", "    retries:", "    threads:"):
        assert banned not in body


def test_a_specimen_that_may_be_empty_is_joined_to_its_option() -> None:
    # Snakemake quotes an empty text as nothing, and a specimen may begin with a dash.
    text = (REPOSITORY / "workflow/rules/repertoire.smk").read_text()
    assert "--specimen={params.specimen:q} " in text


@pytest.mark.parametrize(("stage", "name", "body"), RULES)
def test_the_name_of_a_rule_travels_to_its_script_and_its_tests(stage: str, name: str, body: str) -> None:
    assert f'script=script("{stage}/{name}.py")' in body
    text = "".join(p.read_text() for p in (REPOSITORY / "tests/scripts").glob("test_*.py"))
    assert re.search(rf"\b{name}\b", text), f"no test in tests/scripts names {name}"


@pytest.mark.parametrize(("stage", "name", "body"), RULES)
def test_a_rule_lists_the_code_of_its_own_script(stage: str, name: str, body: str) -> None:
    assert f'    params:\n        code=sources("{stage}/{name}.py"),' in body
    listed = provenance.sources_of_script(REPOSITORY / f"scripts/{stage}/{name}.py")
    assert len(listed) > 1, "a script rests on the package"


@pytest.mark.parametrize(("stage", "name", "body"), RULES)
def test_no_param_is_computed_from_the_input(stage: str, name: str, body: str) -> None:
    """Snakemake does not notice when such a param changes (snakemake#3895)."""
    params = re.search(r"    params:\n(.*?)(?=^    \w+:)", body, re.MULTILINE | re.DOTALL)
    if params:
        assert not re.search(r"lambda [^:]*\binput\b", params[1])


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda p: p.stem)
def test_a_rule_file_opens_with_what_it_consumes_and_produces(path: Path) -> None:
    docstring = ast.get_docstring(
        ast.parse(re.split(r"^(?:rule|[A-Z_]+ =)", path.read_text(), flags=re.M)[0])
    )
    assert docstring
    assert "INPUTS:" in docstring
    assert "OUTPUTS:" in docstring


def test_every_stage_script_has_a_rule_or_is_no_rule_on_purpose() -> None:
    by_hand = {"simulate_trial", "store_master_curve", "write_manifest"}
    scripts = {p.stem for p in (REPOSITORY / "scripts").glob("*/*.py")}
    assert scripts - {str(p.values[1]) for p in RULES} == by_hand


def test_parsing_the_snakefile_imports_nothing_heavy() -> None:
    """A dry-run is a person waiting: pandas alone costs a second, scanpy five."""
    import subprocess
    import sys

    code = (
        "import sys, cartrace.config, cartrace.provenance, cartrace.intake.plan;"
        "print([m for m in ('pandas', 'numpy', 'pandera', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    listed = _tracked()
    assert len(listed) > 50
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "files\\.python" + "hosted", "registry\\." + "npmjs", "/work" + "/main"])
    )
    bad = [p for p in listed if hosts.search((REPOSITORY / p).read_text(encoding="utf-8", errors="ignore"))]
    assert not bad


def _tracked() -> list[str]:
    import subprocess

    done = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git clone")
    return [
        p
        for p in done.stdout.splitlines()
        if not p.endswith((".png", ".xlsx")) and (REPOSITORY / p).is_file()
    ]


def test_the_lock_carries_hashes_and_no_hosts() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "http" not in lock
    pins = re.findall(r"^[\w.-]+==", lock, re.MULTILINE)
    assert len(pins) > 80
    assert lock.count("--hash=sha256:") >= len(pins)
