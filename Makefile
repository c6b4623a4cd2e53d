# Everything happens in .venv; no environment has to be active. `make` alone prints what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.8
# The first Python of 3.11 or newer; override with `make setup PYTHON=/path/to/python`.
PYTHON ?= $(firstword $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name"; done))
# uv of the machine if it has one, else the one that setup puts into the environment.
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)

# More workers than cores: many tests wait, for servers to start and for processes to end.
PYTEST := $(BIN)/pytest -n 4 --no-loadscope-reorder

# Images for containers often forbid Python to keep what it has compiled: then every process compiles Prefect anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check lint types soak ci bench lock clean

help: ## Print what there is
	@grep -hE '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(STAMP) ## Make the environment in .venv (again only when the lock changed)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Sluice needs Python 3.11 or newer: none found; give one by PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python $(UV)
	@# Compiled once here: else the first start of each part compiles its libraries, or every start where none may be kept.
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup ## Make demo data, run the pipeline, say what happened
	$(BIN)/sluice demo

check: setup ## Format, lint, strict types, SQL lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/sqlfluff lint --disable-progress-bar sql

types:
	$(BIN)/mypy

test: check ## Every check and the tests
	$(PYTEST) --dist loadscope -m "not soak"

soak: setup ## The long crash, race and property tiers (CHANCE=fresh: chances nobody has drawn before)
	$(PYTEST) --dist load --maxschedchunk 1 -m soak

ci: check ## What a build machine runs: every check, and all tests side by side
	$(PYTEST) --dist loadscope

bench: setup ## The sales job against a bare script doing the same work
	$(BIN)/python benchmarks/run.py

lock: $(BIN)/python | $(UV) ## Pin every dependency anew, with hashes and no download addresses
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## Remove the environment and every cache; the lake stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
