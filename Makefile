# make run needs Python >= 3.11 and nothing else: no root, no Docker, no Redis. `make help` lists the rest.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin

.PHONY: help run test check lint types containers chaos differential bench simulation picture lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: .venv/run.stamp ## everything in this terminal: make run [WORKERS=2]; Ctrl-C stops it
	@$(BIN)/python -m deploy.embedded --workers $(WORKERS)

test: .venv/dev.stamp ## all checks and tests that this machine can run; says what it skipped and why
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n auto --dist loadgroup --ignore tests/containers tests
	@$(BIN)/python -m pytest tests/containers

check: lint types ## the fast checks: style, walls, types, Dockerfiles

lint: .venv/dev.stamp
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo && $(BIN)/hadolint Dockerfile.api Dockerfile.worker

types: .venv/dev.stamp
	@$(BIN)/mypy

containers: .venv/dev.stamp ## the stack in real containers, built and tried (needs Docker)
	@QUEUECAST_REQUIRE_SERVICES=1 $(BIN)/python -m pytest tests/containers

chaos: .venv/dev.stamp ## kills, freezes and fills the parts under load: make chaos [ROUNDS=20] [SEED=1] [LEASE_S=4] [FAULTS=kind,kind]
	@$(BIN)/python -m tests.chaos --rounds $(or $(ROUNDS),20) $(if $(SEED),--seed $(SEED)) $(if $(LEASE_S),--lease-s $(LEASE_S)) $(if $(FAULTS),--faults $(FAULTS))

differential: .venv/dev.stamp ## compares every answer with the notebook's: make differential [ROWS=10000] [SEED=1] [TRIAL=17] [WRITE=1]
	@$(BIN)/python -m tests.differential --rows $(or $(ROWS),10000) $(if $(SEED),--seed $(SEED)) $(if $(TRIAL),--trial $(TRIAL)) $(if $(WRITE),--write)

bench: .venv/bench.stamp .venv/litserve.stamp ## measures against a tutorial's Flask and Celery: make bench [ROUNDS=5] [ONLY=figure,figure] [WRITE=1]
	@$(BIN)/python -m bench --rounds $(or $(ROUNDS),5) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write)

simulation: .venv/dev.stamp ## counts wrong and right promotions of the gate: make simulation [TRAININGS=1000] [SEED=1] [WRITE=1]
	@$(BIN)/python -m bench.gate --trainings $(or $(TRAININGS),1000) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write)

picture: .venv/dev.stamp ## takes docs/report.png of a real training (needs Chromium)
	@QUEUECAST_REPORT_PICTURE=$(CURDIR)/docs/report.png $(BIN)/python -m pytest -q tests/system/test_reports.py -k picture

lock: .venv/dev.stamp ## resolves requirements/*.in into hashed locks
	@for name in client api worker flower run dev bench litserve; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean: ## removes the environment and the caches, not the data
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

# A changed lock is installed again; a stamp names the installed lock.
.venv/run.stamp: requirements/run.txt pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=run
.venv/dev.stamp: requirements/dev.txt pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=dev
	@touch .venv/run.stamp
.venv/bench.stamp: requirements/bench.txt pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=bench
	@touch .venv/run.stamp
.venv/litserve.stamp: requirements/litserve.txt .venv/bench.stamp
	@test -x .venv/litserve/bin/python || $(BIN)/python -m venv .venv/litserve
	@echo "installing requirements/litserve.txt (a minute or so, once)"
	@.venv/litserve/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/litserve.txt
	@touch $@

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("queuecast needs Python 3.11 or later, found " + sys.version.split()[0] + "; name one: make run PYTHON=python3.12")'
	@test -x $(BIN)/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing requirements/$(LOCK).txt (a minute or so, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(LOCK).txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch .venv/$(LOCK).stamp
