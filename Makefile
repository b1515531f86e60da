# Everything a contributor runs. Needs Python 3.11 to 3.13, make and git, and Go and Node for `make test`; the rest is
# brought along: tools into .venv, a real Hermes and real backends into ~/.cache/cronalytics-otel.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOWNLOADS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cronalytics-otel
ARGS ?=
# A file stays in one process: its jobs are run once for all its tests.
PARALLEL := -n auto --dist loadfile

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup downloads backends lint format types test test-unit test-host test-hosts test-backends golden missed-years killed-syncs killed-collectors search load bench demo stack docs views lock clean clean-downloads

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv: the project, editable, and the development tools

$(INSTALLED): pyproject.toml constraints.txt
	@for python in $(PYTHON) python3 python3.11 python3.12 python3.13; do \
	    if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "No Python 3.11, 3.12 or 3.13 found: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	echo "setting up $(VENV) with $$found"; \
	$$found -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -q -c constraints.txt --group dev --editable .
	@touch $@

downloads: setup ## Fetch the real Hermes and the real collector, once per machine
	@$(BIN)/python -m tests.support.venvs

backends: setup ## Build a real Collector, Jaeger, Prometheus and Alertmanager with Go, once per machine (fifteen minutes on two idle cores)
	@$(BIN)/python -m tests.support.go_programs

lint: setup ## Check style (ruff)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup ## Repair style where that can be done by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: setup ## Check types (mypy --strict)
	$(BIN)/mypy

test: lint types downloads backends ## Everything: style, types, and all tests, the oldest and the newest Hermes, real collectors and backends included
	$(BIN)/pytest $(PARALLEL) $(ARGS)

test-unit: setup ## The fast tests: no host, no network, no process
	$(BIN)/pytest tests/unit $(ARGS)

test-host: downloads ## The tests that drive a real Hermes
	$(BIN)/pytest $(PARALLEL) tests/hermes $(ARGS)

test-hosts: setup ## The tests that drive every supported version of Hermes, 0.13 to 0.19
	@$(BIN)/python -m tests.support.venvs --all-hosts
	$(BIN)/pytest $(PARALLEL) -m '' tests/hermes tests/hermes_versions $(ARGS)

test-backends: downloads backends ## The tests with a real Collector, Jaeger, Prometheus and Alertmanager
	$(BIN)/pytest $(PARALLEL) tests/backend $(ARGS)

golden: downloads ## Write the reviewed traces of the thirteen jobs anew (tests/hermes/golden)
	WRITE_GOLDEN=1 $(BIN)/pytest -q tests/hermes/test_thirteen_jobs.py -k reviewed

missed-years: downloads ## Sweep: years of the host's scheduler against what is told as missed (slow)
	MISSED_YEARS=12 $(BIN)/pytest -n auto tests/hermes/test_missed_year.py $(ARGS)

killed-syncs: setup ## Kill 200 syncs at random points, and hold the metrics that arrived against the journal (slow)
	KILLED_SYNCS=200 $(BIN)/pytest -n 2 tests/faults/test_metrics_killed.py $(ARGS)

killed-collectors: backends ## Kill the real Collector at 40 random points of syncs, in each of our configurations (slow)
	KILLED_COLLECTORS=40 $(BIN)/pytest -n 2 tests/faults/test_killed_collector.py $(ARGS)

search: setup ## Look for new counter-examples to the properties that the tests hold (slow)
	SEARCH=20 $(BIN)/pytest $(PARALLEL) --timeout 3600 -m hypothesis $(ARGS)

load: setup backends ## 100 homes, a run a second in each, through one gateway that is killed; and what metrics cost (five minutes)
	LOAD_HOMES=100 LOAD_SECONDS=120 $(BIN)/pytest -q -s tests/load $(ARGS)
	$(BIN)/python -m tests.load.series

bench: downloads ## Measure: one table, each line against a floor of the same run
	$(BIN)/python -m bench $(ARGS)

demo: downloads ## Thirteen real cron jobs, their runs, one trace, and what a collector received
	@$(BIN)/python -m tools.demo $(ARGS)

stack: setup ## A Collector, Jaeger, Prometheus and Alertmanager on this machine, until Ctrl-C (first: make backends)
	@$(BIN)/python -m tools.stack $(ARGS)

docs: setup ## Write docs/telemetry.md anew from the registry of names, and the tables of docs/projections.md
	$(BIN)/python docs/render.py
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/integration/test_against_cronalytics.py

views: setup ## Write the dashboards, rules, alerts and boards of collector/ anew from their sources
	$(BIN)/python -m collector.generate

lock: ## Write constraints.txt anew: the newest tools that pyproject.toml allows
	rm -rf $(VENV)
	: > constraints.txt
	$(MAKE) setup
	echo '# The tools of .venv, so that every clone has the same ones. Written by `make lock`.' > constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable >> constraints.txt
	touch $(INSTALLED)

clean: ## Delete what was made in the checkout
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-downloads: ## Delete the downloads of all checkouts
	rm -rf '$(DOWNLOADS)'
