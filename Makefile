# make demo    scan the bundled flights in an environment of its own: needs python3 (3.11 to 3.13) and nothing else
# make test    everything that CI checks: format, types, layers, tests, notebook, documentation
# make docs    the documentation, in docs/_build/html
# make bench   how to measure
# make clean   remove what was made

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint pytest docs bench clean

# exit codes 1 and 2 are verdicts: warn, alert
demo: $(VENV)/.installed
	@$(BIN)/gpumon demo --html demo-report.html || test $$? -le 2

test: lint pytest docs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

pytest: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

bench:
	@cat benchmarks/README.md

clean:
	rm -rf $(VENV) demo-report.html build dist docs/_build docs/generated

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# pip 25.1 is the first that knows --group
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "gpumon needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(PYTHON) cannot make environments: on Debian, apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
