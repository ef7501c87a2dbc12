PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.ready-dev
FEATURES := mfcc chroma spectral_shape spectral_contrast ent rhythm pitch pitch2d rhythm+pitch rhythm+pitch2d

.PHONY: setup demo test lint format bench docs container-check clean

setup: $(TESTS_READY)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	touch $(READY)

$(TESTS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/emobench
	touch $(TESTS_READY)

demo: $(READY)
	$(BIN)/emobench build-data
	$(BIN)/emobench run $(addprefix --features ,$(FEATURES)) --control --quiet
	$(BIN)/emobench leaderboard --format markdown --out leaderboard.md
	$(BIN)/emobench leaderboard

test: lint
	$(BIN)/python -m pytest -n auto

lint: $(TESTS_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(TESTS_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
