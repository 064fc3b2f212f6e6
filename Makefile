# Two commands: `make voice` runs the main job on the demo export, `make test` runs every test. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help voice test setup setup-dev clean readme

help:
	@echo "make voice   set up and run the main job on the demo voice notes: dataset, voice, report"
	@echo "make test    set up and pass all tests"
	@echo "make readme  write README.md from nbs/index.ipynb"
	@echo "make clean   remove the virtual environment (runs and reports stay)"

$(BIN)/python:
	@echo "setting up: a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "voicenb needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python settings.ini constraints.txt setup.py
	@echo "setting up: the packages of the embedded engines (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "setting up: the packages for development and tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.base
setup-dev: $(VENV)/.dev

voice: setup
	@$(BIN)/voicenb demo

test: setup-dev
	@echo "notebooks: every cell of every library notebook, top to bottom (the run notebooks are tests below)"
	@find nbs/core nbs/data nbs/voices nbs/use -name '*.ipynb' -not -path '*/.*' | sort | OMP_NUM_THREADS=1 xargs -P 2 -I{} sh -c 'echo "  {}"; $(BIN)/nbdev_test --n_workers 0 --path {} > {}.log 2>&1 || { cat {}.log; exit 1; }; rm -f {}.log'
	@echo "tests: subprocesses, kills, fuzzing, golden numbers, whole runs"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@echo "all tests passed; open README.md next, or run: make voice"

clean:
	rm -rf $(VENV)

readme: setup-dev
	@$(BIN)/jupyter nbconvert --log-level ERROR --to markdown --TemplateExporter.exclude_input=True --output-dir . --output README nbs/index.ipynb
