# Two commands on a fresh machine: `make cover` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := examples/cloud-native.md

.PHONY: chaos help setup develop cover test test-ghost check bench services train-smoke

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The virtual environment is as new as the locked versions. Covers need less than tests do.
$(VENV)/.ready: constraints.txt pyproject.toml
	@echo 'Setting up .venv: a few minutes; about 1.5 GB, and some more where torch comes with CUDA'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[generator,service,gateway]'
	touch $@

$(VENV)/.ready-tests: $(VENV)/.ready
	@echo 'Installing what tests and training need'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[training,tests]'
	touch $@

setup: $(VENV)/.ready  ## Set up .venv with the locked versions

develop: $(VENV)/.ready-tests  ## Also install what tests, benchmarks and training need

cover: setup  ## Cover an example article with the bundled model
	$(BIN)/fengmian cover $(EXAMPLE) --out covers

check: develop  ## Lint, types and the one direction of imports
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## Check, then run the tests (services that are not installed skip; see `make services`)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-ghost: develop  ## Install a real Ghost (Node 18 or 20; minutes, 620 MB) and run the tests that talk to it
	bash tests/services/install_ghost.sh
	$(BIN)/python -m pytest --ghost --require-services -k ghost tests/integrations/cms tests/integrations/gateway \
	    tests/flows/test_ghost.py

chaos: develop  ## Kill and restart everything, 20 times each, while posts are covered (hours; goes on where it stopped)
	$(BIN)/python -m tests.chaos

train-smoke: develop  ## Train a tiny model from nothing, and check that it learns (under three minutes)
	$(BIN)/python -m generator.training.smoke

services:  ## Install the servers that some tests talk to (Debian, as root)
	bash tests/services/install.sh

bench: develop  ## Measure speed and memory on this machine
	$(BIN)/python -m benchmarks.run --write docs/benchmarks.md
