# Every target sets up what it needs; a stamp file makes the second run start at once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint format benchmarks model clean

help:
	@echo "make demo       install, then sample, fit, train and verify on the embedded device"
	@echo "make test       install, then the fast tests (minutes)"
	@echo "make test-all   the fast tests and the slow physics, paper and fault tests"
	@echo "make lint       ruff and mypy"
	@echo "make benchmarks the figures of docs/benchmarks.md"
	@echo "make model      the default reconstruction model, from nothing (hours)"

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/inmateria demo

# Two workers, each on one core: more threads would only wait for each other.
test: export OMP_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 2
test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(STAMP)
	$(BIN)/python -m benchmarks.demo_parts
	$(BIN)/python -m benchmarks.hopping
	$(BIN)/python -m benchmarks.fidelity
	$(BIN)/python -m benchmarks.fidelity times
	$(BIN)/python -m benchmarks.transport
	$(BIN)/python -m benchmarks.datasets

# What comes with the package as reconstruction/models/default.safetensors.
model: $(STAMP)
	$(BIN)/inmateria transport generate src/inmateria/reconstruction/models/set.toml -o build/default.zarr
	$(BIN)/inmateria reconstruct train build/default.zarr --out build/runs

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
