# Every target does its own set-up in .venv, from requirements.lock.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
SNAKEMAKE := $(BIN)/snakemake --profile profiles/demo --cores $(CORES)

.PHONY: setup demo plan test coverage readme lint bench mutants rehearsal lock demo-models clean

setup: $(VENV)/.installed

# torch first and alone: on a machine without a GPU the CPU build is enough, on a GPU node take the
# build that matches the driver (README, "On a cluster, with NSD"). The rest is pinned by hash.
$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python workflow/envs/mend_torchvision.py
	touch $@

demo: setup
	$(SNAKEMAKE)

# What a full run (config/config.yaml) asks of a cluster; nothing is computed.
plan: setup
	$(BIN)/snakemake --cores 1 --quiet all --forcerun plan -- results/nsd/dag/plan.txt
	cat results/nsd/dag/plan.txt

test: setup
	$(BIN)/python -m pytest --numprocesses $(CORES)

# Of the unit tests alone: jobs of a whole workflow run in processes of their own.
WHOLE_RUNS := bad_input conda demo deployment extensions perturbation plan rehearsal reruns slurm \
  slurm_faults
coverage: setup
	$(BIN)/python -m pytest --numprocesses $(CORES) --cov --cov-report=term \
	  $(WHOLE_RUNS:%=--ignore=tests/test_%.py)

# The graph and the table in the README that are written from the code.
readme: setup
	$(BIN)/python tools/readme_parts.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

# Do the tests notice faults in the numerical core? Half an hour; SAMPLE=10 draws some of each part.
mutants: setup
	$(BIN)/python -m benchmarks.mutants $(if $(SAMPLE),--sample $(SAMPLE))

# config/config.yaml at its true sizes with random weights and simulated data: 60 GB of disk.
rehearsal: setup
	$(BIN)/python -m benchmarks.rehearsal --cores $(CORES)

demo-models: setup
	PYTHONPATH=workflow/scripts $(BIN)/python -m nsdsim.training

# Needs uv, and a CPU build of torch that it finds (UV_FIND_LINKS). torch is left out on purpose, see setup.
lock:
	uv pip compile pyproject.toml --group dev --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-package torch --no-emit-package setuptools --output-file requirements.lock
	$(BIN)/python workflow/envs/pin.py

clean:
	rm -rf results resources .snakemake logs
