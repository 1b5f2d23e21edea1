# make demo    scan the bundled flights in an environment of its own: needs python3 (3.11 to 3.13) and nothing else
# make test    everything that CI checks: format, types, layers, tests, notebook, documentation
# make cuda    the CUDA kernels without a GPU: in Numba's simulator, and compiled for three architectures (make test runs it)
# make gpu-check   on a machine with a GPU: the tests on the device, compute-sanitizer, the benchmark
# make docs    the documentation, in docs/_build/html
# make bench   how to measure
# make clean   remove what was made

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CUDA_VENV ?= .venv-cuda
JOBS ?= 2
PARALLEL = -n $(JOBS) --dist loadfile

.PHONY: demo test lint pytest cuda gpu-check docs bench clean

# exit codes 1 and 2 are verdicts: warn, alert
demo: $(VENV)/.installed
	@$(BIN)/gpumon demo --html demo-report.html || test $$? -le 2

test: lint pytest cuda docs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

pytest: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PARALLEL)

# RuntimeWarning: the simulator computes with NumPy numbers, and hashes are meant to overflow
cuda: $(CUDA_VENV)/.compiled
	NUMBA_ENABLE_CUDASIM=1 NUMBA_CACHE_DIR=$(CUDA_VENV)/numba $(CUDA_VENV)/bin/python -m pytest -W ignore::RuntimeWarning \
	  $(PARALLEL:loadfile=worksteal) \
	  -o cache_dir=$(CUDA_VENV)/pytest tests/kernels tests/engines/test_gpu.py tests/benchmarks/test_gpu.py

gpu-check:
	benchmarks/gpu_check.sh

docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

bench:
	@cat benchmarks/README.md

clean:
	rm -rf $(VENV) $(CUDA_VENV) demo-report.html build dist docs/_build docs/generated

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# pip 25.1 is the first that knows --group
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed

# numba-cuda needs an older Numba than the newest: an environment of its own, with the compilers of CUDA 13 (no driver)
$(CUDA_VENV)/.installed: pyproject.toml | $(BIN)/python
	test -x $(CUDA_VENV)/bin/python || $(BIN)/python -m venv $(CUDA_VENV)
	$(CUDA_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(CUDA_VENV)/bin/python -m pip install --quiet --editable . --group cuda
	touch $@

$(CUDA_VENV)/.compiled: $(CUDA_VENV)/.installed tests/kernels/cuda/compile_kernels.py src/gpumon/kernels/intrinsics.py \
  $(wildcard src/gpumon/kernels/cuda/*.py)
	$(CUDA_VENV)/bin/python tests/kernels/cuda/compile_kernels.py
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "gpumon needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(PYTHON) cannot make environments: on Debian, apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
