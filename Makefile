PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.ready-dev

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# $(call install,LOCK): torch is installed separately, so that no other package can come from its index. A wheel in one
# of pip's find-links folders is preferred to the network.
define install
	$(PIP) --no-deps --require-hashes --no-index -r requirements-torch-cpu.lock 2>/dev/null \
	    || $(PIP) --no-deps --require-hashes --index-url $(TORCH_INDEX) -r requirements-torch-cpu.lock
	$(PIP) --require-hashes -r $(1)
	$(PIP) --no-deps --no-build-isolation -e .
endef

.PHONY: setup demo test test-slow lint format schema lock bench docs figures package-check container-check clean

setup: $(TESTS_READY)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/bin/python pyproject.toml requirements-torch-cpu.lock requirements.lock
	$(call install,requirements.lock)
	touch $(READY)

$(TESTS_READY): $(VENV)/bin/python pyproject.toml requirements-torch-cpu.lock requirements-dev.lock
	$(call install,requirements-dev.lock)
	mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/emobench
	touch $(READY) $(TESTS_READY)

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --durations 15

test-slow: $(TESTS_READY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow --durations 15

lint: $(TESTS_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(TESTS_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Write benchmark/results/result.schema.json from the pydantic model of a result.
schema: $(READY)
	$(BIN)/python -c "from emobench.benchmark.results.model import json_schema; print(json_schema(), end='')" \
	  > benchmark/results/result.schema.json

# Write the lock files; UPGRADE=1 takes the newest versions. Needs `make setup` and the network.
lock:
	$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

# Measure speed, and the figures of docs/beats.md, docs/scale.md and docs/training.md. Needs an otherwise idle machine.
bench: $(TESTS_READY)
	$(BIN)/python tests/bench/features.py --results build/bench/features.json
	$(BIN)/python tests/bench/growth.py --results build/bench/growth.json
	$(BIN)/python tests/bench/msd.py --results build/bench/msd.json
	$(BIN)/python tests/bench/rbm.py --results build/bench/rbm.json
	$(BIN)/python tests/bench/finetuning.py --results build/bench/finetuning.json
	$(BIN)/python tests/bench/beats_table.py build/bench/beats.json
	$(BIN)/python tests/bench/embeddings.py --results build/bench/embeddings.json

# Build the documentation site in build/site; needs no network.
docs: $(TESTS_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Draw the image of the README from the results of the demo and the pictures of metrics, run the notebooks, and write the
# pictures and boards of docs/corpora and docs/representations.md, for the corpora whose published files are in the
# folder REAL; CORPORA names some.
REAL ?= corpora
figures: $(TESTS_READY) demo
	$(BIN)/python docs/picture.py results docs/leaderboard.svg
	$(BIN)/python docs/metric_pictures.py docs/pictures
	$(BIN)/python docs/run_notebooks.py
	$(BIN)/python docs/figures.py --real "$(REAL)" build/figures $(CORPORA)
	$(BIN)/python docs/representations.py --real "$(REAL)" build/figures

# Build and check the wheel and the source distribution, and run the tests of the latter on its own.
package-check: $(TESTS_READY)
	scripts/package-check.sh $(TESTS)

clean:
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info

# Build the image of the Dockerfile and run the demo in it. Needs root, buildah and debootstrap.
container-check:
	PYTHON=$(PYTHON) scripts/container-check.sh
