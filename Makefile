# The same commands as .ci/run, on the environment that is active.
PYTHON ?= python

.PHONY: check test slow lint types defs docs format
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

# What the docs hold of the code: tables between markers, and the schema of config files.
docs:
	$(PYTHON) docs/tables.py
	$(PYTHON) -m sync_pipeline.cli schema > docs/config.schema.json

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
