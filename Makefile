# Every target does its own set-up in .venv, from requirements.lock.
PYTHON ?= python3.11
# Address of the wheels of another build of torch, such as that of a CUDA version; empty: the plain one.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SNAKEMAKE := $(BIN)/snakemake --profile profiles/demo --cores $(CORES)

.PHONY: help setup demo plan test coverage readme docs lint bench mutants rehearsal lock demo-models \
  clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@echo "Targets of the workflow itself, for instance .venv/bin/snakemake --profile profiles/demo report:"
	@echo "  all (default)  everything;  report  the page to read first;  gallery  every test image"
	@echo "  export  pictures as PNG;  plan  jobs, hours, memory;  doctor  what a run would lack"
	@echo "  verify_data  read every fetched file again;  --list  all rules, with a sentence each"

setup: $(VENV)/.installed  ## install everything into .venv

# torch first and alone: on a machine without a GPU the CPU build is enough, on a GPU node take the
# build that matches the driver: make setup TORCH_INDEX=... (docs/cluster.md). The rest is pinned by
# hash.
$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--force-reinstall --index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(BIN)/python workflow/envs/mend_torchvision.py
	@$(BIN)/python -c "import torch; gpu = torch.cuda.is_available(); \
	  print('torch', torch.__version__, 'on', torch.cuda.get_device_name() if gpu else 'the CPU')"
	touch $@

# Another build of torch is a reason to install again.
ifneq ($(TORCH_INDEX),)
.PHONY: $(VENV)/.installed
endif

demo: setup  ## the whole workflow on simulated data and small models
	$(SNAKEMAKE)

# What a full run (config/config.yaml) asks of a cluster; nothing is computed.
plan: setup  ## what the full run of config/config.yaml asks for; nothing is computed
	$(BIN)/snakemake --cores 1 --quiet all --forcerun plan -- results/nsd/dag/plan.txt
	cat results/nsd/dag/plan.txt

# One worker more than there are cores: some wait for a cluster.
PYTEST := $(BIN)/python -m pytest --numprocesses $(shell expr $(CORES) + 1)

test: setup  ## the tests, a whole demo among them
	$(PYTEST)

# Of the unit tests alone: jobs of a whole workflow run in processes of their own.
WHOLE_RUNS := bad_input conda demo deployment extensions pages perturbation plan rehearsal reruns slurm \
  slurm_faults
coverage: setup  ## the unit tests, with the share of lines they run
	$(PYTEST) --cov --cov-report=term \
	  $(WHOLE_RUNS:%=--ignore=tests/test_%.py)

# The graph and the table in the README that are written from the code.
readme: setup  ## write the parts of pages that come from the code
	$(BIN)/python tools/readme_parts.py

lint: setup  ## linters, types, layers of the library
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports
	$(BIN)/mypy

bench: setup  ## speed and memory against named baselines
	$(BIN)/python -m benchmarks

# SAMPLE=10 draws some faults of each part.
mutants: setup  ## do the tests notice faults in the numerical core? half an hour
	$(BIN)/python -m benchmarks.mutants $(if $(SAMPLE),--sample $(SAMPLE))

docs: setup  ## docs/ as a site that opens from the file system, in site/
	$(BIN)/mkdocs build --quiet

# config/config.yaml at its true sizes with random weights and simulated data: 60 GB of disk.
rehearsal: setup  ## the full configuration at its true sizes, without the real data
	$(BIN)/python -m benchmarks.rehearsal --cores $(CORES)

demo-models: setup  ## train the models of the demo again
	PYTHONPATH=workflow/scripts $(BIN)/python -m nsdsim.training

# Needs uv, and a CPU build of torch that it finds (UV_FIND_LINKS). torch is left out on purpose, see setup.
lock:  ## pin all packages anew
	uv pip compile pyproject.toml --group dev --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-package torch --no-emit-package setuptools --output-file requirements.lock
	$(BIN)/python workflow/envs/pin.py

clean:  ## remove results, resources and logs
	rm -rf results resources .snakemake logs
