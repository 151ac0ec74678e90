# Everything runs in a virtual environment of its own: a host needs Python, make and a C compiler.
PYTHON ?= python3
VENV := .venv
# What to install: `release` is enough for `make archive` and `make release`.
GROUP ?= dev
# `make try` has one with the plugin alone, which is there in seconds.
TRY := build/try
TRY_QUICKLY := --quiet --no-compile --disable-pip-version-check
ifeq ($(OS),Windows_NT)
BIN := $(CURDIR)/$(VENV)/Scripts
TRY_BIN := $(TRY)/Scripts
else
BIN := $(CURDIR)/$(VENV)/bin
TRY_BIN := $(TRY)/bin
export PATH := $(BIN):$(PATH)
endif

.PHONY: test test-fast e2e old-servers soak lint demo bench docs tutorial transcripts archive release requirements audit clean

test: lint
	$(BIN)/python -m controlplane.build  # here, as pytest would hide its progress
	$(BIN)/pytest --numprocesses=2 --dist=loadgroup

test-fast: $(VENV)/installed
	$(BIN)/pytest --numprocesses=2 --dist=loadgroup -m "not slow"

# A cluster with a real node; where this machine can have none, it says what lacks.
e2e: $(VENV)/installed
	$(BIN)/python -m controlplane.node  # packages, programs and images; pytest would hide it
	$(BIN)/pytest --verbose tests/e2e

soak: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group soak
	nice -n 15 env ROTATION_EXAMPLES=5000 $(BIN)/pytest tests/test_rotation.py -k whatever
	nice -n 15 $(BIN)/python -m soak.mutants
	nice -n 15 $(BIN)/python -m soak.fuzz

# The main commands, on a Kubernetes that Portworx' users still run.
old-servers: $(VENV)/installed
	KUBEBUILDER_ASSETS=$$($(BIN)/python -c "from controlplane import build; print(build.old_assets())") \
	  $(BIN)/pytest $(foreach command,issue list renew keys_rotate schedule doctor,tests/test_$(command).py)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

try: $(TRY)/installed
	$(TRY_BIN)/python -m demo.without_cluster

demo: $(VENV)/installed
	$(BIN)/python -m demo

bench: $(VENV)/installed
	$(BIN)/python -m bench

docs: $(VENV)/installed
	$(BIN)/python -m mkdocs build --strict

# A shell in the cluster that docs/tutorial.md speaks of.
tutorial: $(VENV)/installed
	@$(BIN)/python -m tests.transcripts

# Write into README.md and docs/ what the commands print now.
transcripts: $(VENV)/installed
	$(BIN)/python -m tests.transcripts $$(grep --recursive --files-with-matches console README.md docs)
	$(BIN)/python -m tests.picture

archive: $(VENV)/installed
	$(BIN)/python -m release.archive

release: archive
	$(BIN)/python -m release.manifest

# The files that archive and image are made of, by their hashes.
requirements: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group pins
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-header --no-annotate --group release --output-file release/requirements.txt \
	  pyproject.toml

# Which of them have known weaknesses: make audit DATABASE=all.zip, as osv.dev publishes it for PyPI.
audit: $(VENV)/installed
	$(BIN)/python -m release.audit $(DATABASE)

ifeq ($(GROUP),release)
$(VENV)/installed: pyproject.toml release/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --requirement release/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation .
	touch $@
else
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group $(GROUP)
	touch $@
endif

# An isolated build would get all that the plugin needs a second time, for man pages.
$(TRY)/installed: pyproject.toml
	$(PYTHON) -m venv $(TRY)
	$(TRY_BIN)/python -m pip install $(TRY_QUICKLY) hatchling editables
	$(TRY_BIN)/python -m pip install $(TRY_QUICKLY) --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build dist mutants
