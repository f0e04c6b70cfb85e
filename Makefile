# cartrace: `make demo`, `make test`, `make run CONFIG=trial/config.yaml`, `make check`.
# Each target sets up what it needs; a second call reuses it.

# Byte-compiled packages start in a third of the time.
unexport PYTHONDONTWRITEBYTECODE
# uv would otherwise write the addresses of indexes into warnings and locks.
export UV_NO_PROGRESS := 1

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
CORES ?= 2
DEMO ?= demo
# shfmt (for snakefmt) and python (for rules) are looked up on PATH.
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast run check fix lock bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cartrace needs Python 3.11 or newer, this is %d.%d" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements.lock)"
	@echo "setting up $(VENV) from requirements.lock"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.ready  ## make .venv from the lock

lock:  ## resolve requirements.lock anew (needs .venv)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --extra dev --upgrade pyproject.toml -o requirements.lock >/dev/null
	@! grep -nE 'https?:|file:' requirements.lock
