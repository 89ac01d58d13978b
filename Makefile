# Everything a newcomer runs. One environment per state of pyproject.toml and constraints.txt; VENV= puts it elsewhere.
PYTHON ?= python3
VENV ?= .venv
STATE := $(shell cat pyproject.toml constraints.txt | sha256sum | cut -c1-16)
READY := $(VENV)/.ready-$(STATE)
BIN := $(VENV)/bin
DATA ?= ../shared/data

# Tools that look at the project from outside, by name and version, each in an environment of its own: what they need is
# no matter of constraints.txt.
TOOLS ?= .tools
UV := uv@0.13.9
CHECKOV := checkov@3.3.30
AUDIT := pip-audit@2.10.1
CYCLONEDX := cyclonedx-bom@7.5.0

export RAY_USAGE_STATS_ENABLED = 0

.PHONY: install demo rapid-demo test test-slow lint real lock lint-manifests audit sbom clean

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

$(TOOLS)/%/.ready:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet $(subst @,==,$*)
	touch $@

# What the image is made of, every file by its SHA-256, from pyproject.toml and the versions of constraints.txt.
lock: $(TOOLS)/$(UV)/.ready
	$(TOOLS)/$(UV)/bin/uv pip compile --quiet --no-config --generate-hashes --only-binary :all: --no-annotate \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --constraint constraints.txt \
	    --custom-compile-command "make lock" --output-file cluster/requirements.lock pyproject.toml cluster/requirements.in

# The documents of cluster/, and each pod that they state.
lint-manifests: $(TOOLS)/$(CHECKOV)/.ready
	rm -rf $(TOOLS)/stated
	PYTHONPATH=tests $(TOOLS)/$(CHECKOV)/bin/python tests/stated_pods.py $(TOOLS)/stated
	$(TOOLS)/$(CHECKOV)/bin/checkov --config-file .checkov.yaml --directory cluster --directory $(TOOLS)/stated

# Of every pinned version, whether a fault of it is known. Each exception is `--ignore-vuln ID`, with its reason above it; there is
# none. Where the record of faults is out of reach this fails at the first package, for nothing was looked at then.
AUDIT_EXCEPTIONS :=
audit: $(TOOLS)/$(AUDIT)/.ready
	$(TOOLS)/$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off $(AUDIT_EXCEPTIONS) \
	    --requirement constraints.txt

# What the image is made of, as CycloneDX: sbom.json.
sbom: $(TOOLS)/$(CYCLONEDX)/.ready
	$(TOOLS)/$(CYCLONEDX)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	    --output-file sbom.json cluster/requirements.lock

clean:
	rm -rf .venv .tools sbom.json build *.egg-info demo rapid-demo real .pytest_cache .mypy_cache .ruff_cache .hypothesis
