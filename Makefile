# Everything a newcomer runs. One environment per state of pyproject.toml and constraints.txt; VENV= puts it elsewhere.
PYTHON ?= python3
VENV ?= .venv
STATE := $(shell cat pyproject.toml constraints.txt | sha256sum | cut -c1-16)
READY := $(VENV)/.ready-$(STATE)
BIN := $(VENV)/bin
DATA ?= ../shared/data

export RAY_USAGE_STATS_ENABLED = 0

.PHONY: install demo rapid-demo test test-slow lint real clean

install: $(READY)

$(READY):
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "Python 3.11 to 3.13 is needed"'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

demo: $(READY)
	$(BIN)/landslide-scale demo

rapid-demo: $(READY)
	$(BIN)/landslide-scale rapid-demo

test: $(READY)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --durations=30

test-slow: $(READY)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --durations=30 --timeout=1200 -m "slow or not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

real: $(READY)
	$(BIN)/python tests/real_input.py --data $(DATA)

clean:
	rm -rf .venv build *.egg-info demo rapid-demo real .pytest_cache .mypy_cache .ruff_cache .hypothesis
