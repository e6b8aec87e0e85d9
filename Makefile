# make install   create .venv and install cldis with its test tools
# make demo      train the default recipe on the built-in rooms data, find directions in it and
#                score them without labels; goes on with runs/demo if it is there
# make test      lint, types, documentation, tests: what CI runs
# make docs      build the documentation site into build/site; a broken link is an error
#
# make install CONSTRAINTS=            take the open version ranges (a machine with a CUDA GPU)
# make install PYTHON=python3.12       another interpreter
# make install PIP_FLAGS='...'         more flags for pip (a mirror, an offline folder)

PYTHON ?= python3
CONSTRAINTS ?= constraints-cpu.txt
PIP_FLAGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.cldis-installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs format clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

install: $(STAMP)

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is missing or older than 3.11; name a newer one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "make: $(PYTHON) cannot create a virtual environment; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }

# The stamp is written last, so a broken or interrupted installation is tried again.
$(STAMP): pyproject.toml $(CONSTRAINTS) | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[dev]' $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) $(PIP_FLAGS)
	@touch $@

demo: install
	$(BIN)/cldis train rooms --recipe demo --out runs/demo $(if $(wildcard runs/demo/run.json),--resume)
	$(if $(wildcard runs/demo/navigation/directions.json),,$(BIN)/cldis navigate runs/demo --images 3200)
	$(BIN)/cldis track runs/demo --images 16
	$(BIN)/cldis report runs/demo
	@echo
	@echo "The demo run is in runs/demo. Open runs/demo/report.html in a browser."
	@echo "Its directions, ranked without labels: runs/demo/tracking/gallery.png"
	@echo "To move sliders on your own photos: $(BIN)/cldis explore runs/demo"
	@echo "To see what each latent unit does:  $(BIN)/cldis traverse runs/demo --out runs/demo/traversals"

test: lint docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src

# The variable silences the theme's advertisement.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in build/site: open build/site/index.html in a browser."

format: install
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# Removes what tools left behind, never .venv and never runs/.
clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
