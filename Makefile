# Every target makes what it needs, and is quick when nothing changed.
#   make audit      audit the examples and write their reports
#   make test       the fast tests          make test-slow   the slow ones
#   make test-long  simulations of minutes  make test-all    all of them
#   make check      style, types, floors, the English of docs and messages
#   make docs       docs as a site, site/   make bench       docs/benchmarks.md
#   make simulate   coverage and error rates of the statistics, by simulation
#   make mutants    mutates the code that decides, and counts what the tests notice
#   make house      rooms, names, sizes, and how much code one audit walks through

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := audit
.PHONY: audit test test-slow test-long test-all check format docs simulate mutants house bench clean

# The interpreter that makes the environments; `make PYTHON=…` names another one.
PYTHON ?= python3.11
VENV := .venv
BENCH := .venv-bench
BIN := $(VENV)/bin
RUN := $(VENV)/.stamp-run
DEV := $(VENV)/.stamp-dev
BENCHED := $(BENCH)/.stamp
DOCS := .venv-docs
PAGED := $(DOCS)/.stamp
# What an install is made of: when one of these changes, it is made again.
MADE_OF := pyproject.toml
WORKERS ?= 2
TEST_FLAGS ?=
# --quick, --only AREA, or --check, which compares with the table that is committed.
BENCH_FLAGS ?=
# --seed N, --count N, --only TEXT, --every.
MUTANT_FLAGS ?=
# The folder of the documentation's site, which keeps a folder for each version.
SITE ?= site
# --static, --json, or the folder of another checkout.
HOUSE_FLAGS ?=
# Models run in children that read what is compiled and write none of it.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := $(BIN)/python -m compileall -q auditor && $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(TEST_FLAGS)

audit: $(RUN)
	@scripts/audit_examples.sh $(BIN)/auditor

test: $(DEV)
	@$(PYTEST) -m "not slow"

test-slow: $(DEV)
	@$(PYTEST) -m "slow and not long"

test-long: $(DEV)
	@$(PYTEST) -m long

test-all: $(DEV)
	@$(PYTEST)

check: $(DEV)
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/language.py

format: $(DEV)
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

docs: $(RUN) $(PAGED)
	@$(BIN)/python scripts/write_check_pages.py
	@$(BIN)/python scripts/draw_architecture.py
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --site-dir $(SITE)
	@echo "Open $(SITE)/index.html"

simulate: $(DEV)
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/simulate.py --workers $(WORKERS)

mutants: $(DEV)
	@$(BIN)/python scripts/mutants.py --workers $(WORKERS) $(MUTANT_FLAGS)

house: $(DEV)
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/house.py $(HOUSE_FLAGS)

bench: $(BENCHED)
	@$(BENCH)/bin/python benchmarks/table.py $(BENCH_FLAGS)

clean:
	@rm -rf $(VENV) $(BENCH) $(DOCS) site

# What development needs includes what a run needs, so either stamp's environment is one and the same.
$(RUN): $(MADE_OF)
	@scripts/make_venv.sh $(VENV) '.[all]' $(PYTHON)
	@touch $@

$(DEV): $(MADE_OF)
	@scripts/make_venv.sh $(VENV) '.[dev]' $(PYTHON)
	@touch $(RUN) $@

# An environment of its own: what we compare against pins old versions of libraries that we use.
$(BENCHED): $(MADE_OF)
	@scripts/make_venv.sh $(BENCH) '.[bench]' $(PYTHON)
	@touch $@

# Only what builds the site, which imports nothing of ours.
$(PAGED): scripts/site/requirements.txt
	@scripts/make_venv.sh $(DOCS) $< $(PYTHON)
	@touch $@
