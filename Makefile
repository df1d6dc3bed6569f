# Each target makes its own environment in .venv when that is absent or older than pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export RAY_USAGE_STATS_ENABLED = 0
export MPLBACKEND = Agg

.PHONY: help demo test test-fast lint docs bench bench-all clean

help:
	@echo "make demo       the whole chain on real data; writes out/report.html"
	@echo "make test       every test, the slow ones too"
	@echo "make test-fast  the tests that take seconds"
	@echo "make lint       ruff, import-linter, mypy"
	@echo "make docs       the documentation site, half a minute; open out/docs/index.html"
	@echo "make bench      every benchmark in its quick form, minutes; open out/bench/scoreboard.md"
	@echo "make bench-all  every benchmark in full, hours: JSON and pictures in benchmarks/results, the page is docs/scoreboard.md"

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "coreset-eval needs Python >= 3.11; set PYTHON=... for make")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/pipeline.py

# One thread: where a machine is busy, threads that wait for each other turn tests of seconds into minutes.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

test-fast: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs out/docs

bench: $(READY)
	$(BIN)/python benchmarks/run.py --quick

bench-all: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) out build *.egg-info
