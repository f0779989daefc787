# The same commands as .ci/run, on the environment that is active.
PYTHON ?= python

.PHONY: check test slow lint types defs format
check: lint types test defs

test:
	$(PYTHON) -m pytest

slow:
	$(PYTHON) -m pytest -m slow

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

defs:
	dg check defs
	dagster definitions validate -w workspace.yaml

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
