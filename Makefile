# What can be done here: `make help`. Needs Python 3.11 or newer with venv and pip, nothing else.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r
RUN_STAMP = $(VENV)/.run-$(shell cksum < requirements.lock | tr ' ' -)
DEV_STAMP = $(VENV)/.dev-$(shell cat requirements.lock requirements-dev.lock | cksum | tr ' ' -)
WORKERS ?= auto

.PHONY: help run test check bench drill clean python
.DEFAULT_GOAL := help

help: ## say what each target does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## start everything (PORT, SIMULATOR_PORT, DATA_DIR, DEMO=0, DEMO_RATE, DATABASE_URL, REDIS_URL)
	@exec $(PY) manage.py up

test: $(DEV_STAMP) ## the whole suite, in parallel, on a real PostgreSQL and Redis (EXPLORE=1 draws new examples of properties)
	@exec $(PY) -m pytest -n $(WORKERS) --dist worksteal

check: $(DEV_STAMP) ## style, types, import contracts, migrations, house rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports --config import-contracts.toml
	$(PY) -m pytest -q -n 0 tests/project

bench: $(DEV_STAMP) ## measure what the budgets promise
	@for name in $(basename $(notdir $(wildcard bench/[a-z]*.py))); do echo "== $$name"; $(PY) -m bench.$$name || exit 1; done

drill: $(DEV_STAMP) ## drive payments with faults and kills, then check the simulator's books (ARGS="--payments 200 --seed 1")
	@exec $(PY) manage.py drill $(ARGS)

clean: ## remove the virtual environment, the embedded data and every cache
	rm -rf $(VENV) .data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment --------------------------------------------------------------------------------------------
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Counterfoil needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1). Name another: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) comes without venv or pip: install them (on Debian: apt install python3-venv) and try again."; exit 1; }

$(VENV)/bin/pip: | python
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(VENV)/bin/pip
	@echo "installing what requirements.lock names"
	@$(PIP_INSTALL) requirements.lock
	@rm -f $(VENV)/.run-* && touch $@

$(DEV_STAMP): | $(VENV)/bin/pip
	@echo "installing what requirements-dev.lock names"
	@$(PIP_INSTALL) requirements-dev.lock
	@rm -f $(VENV)/.dev-* $(VENV)/.run-* && touch $@ $(RUN_STAMP)
