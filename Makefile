# make demo        environment, synthetic data, the whole pipeline on the CPU, table and report
# make tables-demo the paper's tables on synthetic data, trained segmenters included; an hour a seed (TABLES_SEEDS=0,1)
# make test        environment and test suite
# make test-slow   the tests marked slow
# make chaos       a small run, killed 100 times: nothing may be lost (KILLS=100 SEED=0)
# make bench       speed, memory and agreement beside other implementations, into docs/performance.md (PHOTOS=folder)
# make bench-quick the same on fewer and smaller cases, without peak memory, printed
# make lint        formatters, types, import contracts, workflow lint
# make generated   config/config.yaml, schema.json, README.md and docs/cli.md anew from the code
# make frozen      tests/frozen anew for the stages whose version was raised
# make docs        the documentation as a site: site/index.html

VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
# The first interpreter that is supported and starts.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
DEMO_SEED ?= 0
TABLES_SEEDS ?=
KILLS ?= 100
SEED ?= 0
PHOTOS ?=

# Spinning OpenMP threads starve the other jobs of a full machine.
export OMP_WAIT_POLICY := passive

.PHONY: env demo tables-demo test test-slow chaos bench bench-quick lint generated frozen docs clean
.DELETE_ON_ERROR:

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found; install one, or make PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo/data/image_labels.csv: | env
	$(BIN)/irnet-pipe synthesize --to demo/data --seed $(DEMO_SEED)

demo: env demo/data/image_labels.csv
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml
	@cat outputs/demo/summary.txt
	@echo "report: $(CURDIR)/outputs/demo/report.html"

# The first images are those of the demo, so that what both train is made once.
demo/tables_data/image_labels.csv: | env
	$(BIN)/irnet-pipe synthesize --to demo/tables_data --seed $(DEMO_SEED) --held-out 80

tables-demo: env demo/tables_data/image_labels.csv
	$(BIN)/snakemake tables --cores $(CORES) --configfile config/demo.yaml config/tables_demo.yaml \
		$(if $(TABLES_SEEDS),--config 'tables={"seeds": [$(TABLES_SEEDS)]}')
	@cat outputs/tables_demo/tables/tables.md
	@echo "with plots: $(CURDIR)/outputs/tables_demo/tables/tables.html"

test: env
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2 --dist loadfile

test-slow: env
	$(BIN)/python -m pytest -m "slow and not gpu"

chaos: env
	$(BIN)/python tests/workflow/chaos.py --kills $(KILLS) --seed $(SEED)

# pydensecrf2 is compiled on installation, so only those who measure need a compiler.
$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(if $(PHOTOS),--photos "$(PHOTOS)") --json docs/performance.json --markdown docs/performance.md

bench-quick: $(VENV)/.bench
	$(BIN)/python -m benchmarks --quick $(if $(PHOTOS),--photos "$(PHOTOS)")

lint: env
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow

generated: env
	$(BIN)/python -m irnet_pipe.config.documents
	$(BIN)/python -m irnet_pipe.cli.reference

frozen: env
	$(BIN)/python tests/stages/freeze.py

docs: env
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf demo outputs/demo outputs/tables_demo results site
