# The same commands as .ci/run, on the environment that is active.
PYTHON ?= python

.PHONY: check test coverage slow newest lint types defs docs format constraints
check: lint types test defs

test:
	$(PYTHON) -m pytest

# Lines and branches that the default suite does not reach, by file.
coverage:
	$(PYTHON) -m pytest --cov=sync_pipeline --cov-report=term-missing:skip-covered

slow:
	$(PYTHON) -m pytest -m slow

# CI in an environment of its own, on the newest packages that pyproject.toml allows.
newest:
	.ci/run newest

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

# The versions of an environment in which only this project was installed, as newest.
constraints:
	( sed '/^#/!d' constraints.txt; $(PYTHON) -m pip freeze --exclude-editable ) > constraints.new
	mv constraints.new constraints.txt

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
