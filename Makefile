# cartrace: `make demo`, `make test`, `make run CONFIG=trial/config.yaml`, `make check`.
# Each target sets up what it needs; a second call reuses it.

# Byte-compiled packages start in a third of the time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV ?= .venv
CORES ?= 2
DEMO ?= demo
PROFILE ?= profiles/default
BIN := $(abspath $(VENV))/bin
CODE := src scripts tests benchmarks
# Rules look up python, and snakefmt looks up shfmt, on PATH.
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo run verify test test-fast test-year test-slurm test-kill test-determinism check fix lock bench bench-scale clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cartrace needs Python 3.11 or newer, this is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements.lock)"
	@echo "setting up $(VENV) from requirements.lock (half a minute the first time)"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.ready  ## make .venv from the lock

demo: setup  ## simulate a trial, run the workflow on it, say where the report is
	@python scripts/simulate/simulate_trial.py --output $(DEMO)
	@python scripts/run_scheduled.py --config $(DEMO)/config.yaml --cores $(CORES) --profile $(PROFILE)
	@echo "report: $(abspath $(DEMO))/results/report.html"

run: setup  ## run a trial folder: make run CONFIG=trial/config.yaml
	@test -n "$(CONFIG)" || { echo "which trial? make run CONFIG=trial/config.yaml" >&2; exit 2; }
	@python scripts/run_scheduled.py --config $(CONFIG) --cores $(CORES) --profile $(PROFILE)

verify: setup  ## are inputs and results as the last run recorded them? make verify CONFIG=trial/config.yaml
	@test -n "$(CONFIG)" || { echo "which trial? make verify CONFIG=trial/config.yaml" >&2; exit 2; }
	@python scripts/verify_results.py --config $(CONFIG)

test: setup  ## the whole test suite
	@pytest -n $(CORES) --dist worksteal

test-fast: setup  ## without the slow tests
	@pytest -n $(CORES) --dist worksteal -m "not slow"

test-slurm: setup  ## a real Slurm on this machine, as root; installs Debian's slurm and mariadb packages where missing
	@CARTRACE_SLURM=1 pytest tests/slurm --durations=0

test-kill: demo  ## kill runs of the demo trial 50 times (KILLS=50 SEED=9); a quarter of an hour
	@CARTRACE_DEMO=$(abspath $(DEMO)) CARTRACE_KILLS=$(or $(KILLS),50) CARTRACE_SEED=$(or $(SEED),9) pytest -n 0 -s tests/kills

test-determinism: demo  ## the demo trial with one core, and with .venv311 or CARTRACE_OTHER_PYTHON where there is one
	@CARTRACE_DEMO=$(abspath $(DEMO)) CARTRACE_DETERMINISM=1 pytest -n 0 tests/determinism

test-year: setup  ## a year of nightly runs on a growing cohort, each with exactly its jobs: half an hour
	@CARTRACE_NIGHTS=365 pytest -n 0 -s tests/nights

check: setup  ## formatting, lint, types, workflow lint, generated files
	ruff check $(CODE)
	ruff format --check $(CODE)
	snakefmt --check Snakefile workflow
	mypy src scripts
	python scripts/update_generated.py --check
	python scripts/lint_workflow.py

fix: setup  ## write generated files anew, format everything
	python scripts/update_generated.py
	ruff check --fix --quiet $(CODE)
	ruff format --quiet $(CODE)
	snakefmt Snakefile workflow

bench: setup  ## speed beside what a user would run instead: kinetics, intake, PCR plates, gating, calibration, cells, CAR reads, clones
	python benchmarks/nca.py
	python benchmarks/intake.py
	python benchmarks/pcr.py
	python benchmarks/flow.py
	python benchmarks/immunoassay.py
	python benchmarks/cells.py
	python benchmarks/car_reads.py
	python benchmarks/clonotypes.py

bench-scale: setup  ## growth with the number of patients: planning of 12, 100 and 1,000, results of 12
	python benchmarks/scale.py plan --subjects 12
	python benchmarks/scale.py plan --subjects 100
	python benchmarks/scale.py plan --subjects 1000
	python benchmarks/scale.py results --subjects 12

lock: setup  ## resolve requirements.lock anew
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --extra dev --upgrade pyproject.toml -o requirements.lock >/dev/null
	@! grep -nE 'https?:|file:' requirements.lock

clean:  ## remove the environment and the demo trial
	rm -rf $(VENV) $(DEMO)
