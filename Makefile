# Ramet. `make help` lists what there is; `make demo` and `make test` are the two that matter.
.DEFAULT_GOAL := help
SHELL := /bin/bash
unexport PYTHONDONTWRITEBYTECODE  # where it is set, each of the many processes of a test run compiles everything anew
PYTHON ?= python3
BIN := .venv/bin
RULES := tests/repository tests/derived/rules tests/derived/minting/test_device_proofs.py tests/idp/test_edges.py tests/idp/test_routes.py \
  tests/idp/login/test_need.py tests/idp/oidc/claims/test_acr.py tests/idp/oidc/claims/test_reserved.py tests/idp/oidc/proofs/test_signatures.py
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes

.PHONY: help setup setup-dev run demo test test-long check format bench bench-scim messages lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Ramet needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@echo "setting up .venv ..."
	@$(PYTHON) -m venv .venv && touch $@

.venv/.runtime: .venv/.made requirements.lock
	@echo "installing what Ramet runs on (half a minute, once) ..."
	@$(PIP) -r requirements.lock && touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "installing what its tests need (a minute, once) ..."
	@$(PIP) -r requirements-dev.lock && touch $@

.venv/bin/ramet: deploy/ramet .venv/.runtime
	@install -m 755 $< $@

setup: .venv/.runtime .venv/bin/ramet ## make .venv with what Ramet runs on
setup-dev: .venv/.dev .venv/bin/ramet ## the same, with what its tests need

demo: setup ## the whole journey over real HTTP, narrated and checked, on a temporary database
	@$(BIN)/python -m demo.journey

run: setup ## serve on http://localhost:8000 with demo people; TLS=1 for a tablet on the local network
	@echo "starting Ramet (half a minute the first time; each step is told) ..."
	@$(BIN)/python -m demo.stage $(if $(TLS),--tls)

test: setup-dev ## the test suite, on SQLite and PostgreSQL, in a real browser, with real relying parties
	@tests/run

test-long: setup-dev ## the races and the fuzzing with their large counts
	@tests/run --long

format: setup-dev ## format the code (ruff format) and sort the imports
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

check: setup-dev ## ruff, mypy, import contracts, migrations, the tests of rules
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@RAMET_VAR=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m pytest -q $(RULES)

bench: setup-dev ## requests per second on one core, beside other providers (BENCH=--small for a short look)
	@$(BIN)/python -m bench $(BENCH)

bench-scim: setup-dev ## SCIM at 100,000 people, beside django-scim2 and Canaille (BENCH=--small for a short look)
	@$(BIN)/python -m bench.scim $(BENCH)

messages: setup-dev ## collect the texts of pages and mails into locale/, and compile the translations
	@$(BIN)/python -m tests.messages

lock: setup-dev ## resolve the dependencies of pyproject.toml anew, hashed, naming no host
	@$(BIN)/python tests/lock.py

clean: ## forget the environment and the demo's data
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
