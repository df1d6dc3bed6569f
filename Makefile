# Each target makes its own environment in .venv when that is absent or older than pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export RAY_USAGE_STATS_ENABLED = 0
export MPLBACKEND = Agg

# One BLAS thread a process: where a machine is busy, threads that wait for each other turn tests of seconds into minutes.
JOBS ?= 2
# $(call tests,FOLDER OF PYTHON,CONDITION and,OPTIONS): files beside each other. $(call ray-tests,...): those that start Ray, alone.
define tests
OMP_NUM_THREADS=1 $(1)/python -m pytest -m '$(2) not ray' --numprocesses $(JOBS) --dist loadfile $(3)
endef
define ray-tests
OMP_NUM_THREADS=1 $(1)/python -m pytest -m '$(2) ray' $(3)
endef
# What needs neither torch nor the benchmarks' and demo's data.
CORE_TESTS := tests/coreset tests/imputation_eval tests/analog_eval tests/test_packaging.py

.PHONY: help demo test test-fast test-wheel test-lowest test-lowest-ray test-newest dist lint docs bench bench-all mutation clean

help:
	@echo "make demo             the whole chain on real data; writes out/report.html"
	@echo "make test             every test, the slow ones too"
	@echo "make test-fast        the tests that take seconds"
	@echo "make test-wheel       the built wheel, alone and without extras, does its work"
	@echo "make test-lowest      the fast tests with the lowest versions of dependencies, but for those of Ray and torch"
	@echo "make test-lowest-ray  the fast tests that start Ray, with the lowest versions, too"
	@echo "make test-newest      the fast tests with the newest CPython of this machine and newest dependencies, without torch"
	@echo "make dist             wheel and source distribution in out/dist"
	@echo "make lint             ruff, import-linter, mypy"
	@echo "make docs             the documentation site, half a minute; open out/docs/index.html"
	@echo "make bench            every benchmark in its quick form, minutes; open out/bench/scoreboard.md"
	@echo "make bench-all        every benchmark in full, hours: JSON and pictures in benchmarks/results, the page is docs/scoreboard.md"
	@echo "make mutation         which small changes of four modules no test notices, half an hour"
	@echo "make clean            removes environments and whatever was built"

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "coreset-eval needs Python >= 3.11; set PYTHON=... for make")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/pipeline.py

test: $(READY)
	$(call tests,$(BIN),)
	$(call ray-tests,$(BIN),)

test-fast: $(READY)
	$(call tests,$(BIN),not slow and)
	$(call ray-tests,$(BIN),not slow and)

dist: $(READY)
	rm -rf out/dist && mkdir -p out
	$(BIN)/python -m build --outdir out/dist > out/build.log || { cat out/build.log; exit 1; }

test-wheel: dist
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check out/dist/*.whl
	.venv-wheel/bin/python -P tests/installed.py out/dist

.venv-lowest/.ready: pyproject.toml tests/lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[ray,plots,tests]' --constraint tests/lowest.txt
	touch $@

# Old releases call what newer releases of their own dependencies deprecate, and Ray's leave its processes to be collected.
LOWEST := -W ignore::DeprecationWarning -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning
test-lowest: .venv-lowest/.ready
	$(call tests,.venv-lowest/bin,not slow and,$(LOWEST) $(CORE_TESTS))

# Apart, since CI has no time for them.
test-lowest-ray: .venv-lowest/.ready
	$(call ray-tests,.venv-lowest/bin,not slow and,$(LOWEST) $(CORE_TESTS))

.venv-newest/.ready: pyproject.toml
	test -x .venv-newest/bin/python || $(or $(NEWEST),$(shell .ci/newest-python)) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --editable '.[ray,plots,tests]'
	touch $@

test-newest: .venv-newest/.ready
	$(call tests,.venv-newest/bin,not slow and,$(CORE_TESTS))
	$(call ray-tests,.venv-newest/bin,not slow and,$(CORE_TESTS))

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

mutation: $(READY)
	$(BIN)/python benchmarks/mutation.py

clean:
	rm -rf $(VENV) .venv-* out build *.egg-info
