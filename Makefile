# From a bare Python 3.11 to 3.13 and make: `make demo` runs the whole job, `make test` every check.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

# OpenMP's threads sleep while they wait: spinning makes small operations up to 50 times slower on busy cores.
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types pytest docs test-page test-cluster test-clients hostile clean

demo: .venv/installed
	$(BIN)/jumpy demo

test: lint types pytest

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

pytest: .venv/installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

# The documentation as pages that open from the disk: build/site/index.html.
docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# `jumpy view` in the system's Chromium; screenshots are left in runs/page.
test-page: .venv/installed-dev
	$(BIN)/python -m pytest tests/page/browser.py

# Several engines, nodes and ranks, with what `make test` has no time for.
test-cluster: .venv/installed-cluster
	$(BIN)/python -m pytest -m cluster tests/cluster

# With the tools of others, in an environment of their own: Gymnasium, Stable-Baselines3, Minari, stable-worldmodel.
test-clients: .venv-clients/installed
	.venv-clients/bin/python -m pytest tests/clients

# An hour of kills, of two commands in one folder, and of a wheel as a user without a home.
hostile: .venv/installed-dev
	$(BIN)/python -m tests.hostile pairs --times 20
	$(BIN)/python -m tests.hostile kills --times 30
	$(BIN)/python -m tests.hostile wheel

clean:
	rm -rf .venv .venv-clients

# PyPI's torch for Linux requires 2 GB of CUDA packages, which no pin keeps out. Without an NVIDIA driver the CPU build is
# installed: from pip's configured sources where they have it, else from PyTorch's own index.
TORCH := torch==2.13.0
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

.venv/torch: constraints.txt
	$(PYTHON) -m venv .venv
ifeq ($(wildcard /proc/driver/nvidia/version),)
	$(BIN)/pip install -q -c constraints.txt "$(TORCH)+cpu" 2>/dev/null || \
	$(BIN)/pip install -q -c constraints.txt --extra-index-url $(TORCH_CPU_INDEX) "$(TORCH)"
else
	$(BIN)/pip install -q -c constraints.txt "$(TORCH)"
endif
	touch $@

.venv/installed: .venv/torch pyproject.toml
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/torch pyproject.toml
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@ .venv/installed

.venv/installed-cluster: .venv/installed-dev
	$(BIN)/pip install -q -c constraints.txt -e ".[dev,cluster]"
	touch $@

# stable-worldmodel without its dependencies: PyPI's torchvision does not load beside torch's CPU build (docs/tools.md).
CLIENTS := minari[create,hdf5] stable-baselines3 sb3-contrib pygame-ce hdf5plugin hydra-core einops imageio lancedb \
	loguru opencv-python-headless pyarrow pylance pymunk shapely tabulate typer
PACKAGES := import sysconfig; print(sysconfig.get_path("purelib"))

# It sees the packages of .venv and adds to them: .venv itself stays as it is.
.venv-clients/installed: .venv/installed-dev constraints-clients.txt
	$(BIN)/python -m venv --clear --without-pip .venv-clients
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(PACKAGES)')')" \
		> "$$(.venv-clients/bin/python -c '$(PACKAGES)')/beneath.pth"
	.venv-clients/bin/python -m pip install -q -c constraints.txt -c constraints-clients.txt $(CLIENTS)
	.venv-clients/bin/python -m pip install -q -c constraints-clients.txt --no-deps stable-worldmodel
	touch $@
