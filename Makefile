# motcua: `make demo` and `make test` are all a newcomer needs.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CACHE := .cache
export MOTCUA_CACHE_DIR ?= $(CURDIR)/$(CACHE)

.DEFAULT_GOAL := help
.PHONY: help env jars demo test walks lint bench profile faults fuzz clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

env: $(VENV)/ready jars ## the environment alone: .venv and the broker's jars

$(VENV)/ready: bootstrap.lock dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=… or install it" >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv does not work here: install python3-venv" >&2; exit 3; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q rates streams producers sinks dashboards infra motcua
	$(BIN)/python -m streams.compiled
	@touch $@

jars: $(VENV)/ready
	@$(BIN)/python -m infra.local.broker jars

demo: env ## everything, with the October 2023 report recomputed; ONCE=1 plays it and checks it
	@exec $(BIN)/motcua demo $(if $(ONCE),--once)

test: env ## every test that can run on this machine, but for the long walks
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not long" $(TESTS)

walks: env ## the long walks: replay, swap and rebuild killed step by step; mutants of every rule
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long
	$(BIN)/python -m tests.faults.swaps

lint: $(VENV)/ready ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env ## figures into bench/results/latest.json; CHECK=1 fails below a bound, ONLY=part,… picks
	$(BIN)/python -m bench $(if $(CHECK),--check) $(if $(ONLY),--only $(ONLY))

profile: env ## where a worker's time goes: a flame graph and a table of stages in bench/results; RECORDS=
	$(BIN)/python -m bench.profile $(if $(RECORDS),--records $(RECORDS))

FAULTS := SEED EVENTS KILLS REBALANCES STALLS BROKER ENGINE WIRE CLOCK RECOVERY PLAN
lower = $(shell echo $(1) | tr A-Z a-z)

faults: env ## everything that goes wrong, against a recount; SEED= EVENTS= KILLS= … PLAN=, see --help
	$(BIN)/python -m tests.faults $(foreach name,$(FAULTS),$(if $($(name)),--$(call lower,$(name)) $($(name))))

fuzz: env ## hostile input: DECODE= inputs decoded, PIPELINE= through a stack, SEED=; INPUT= plays one again
	$(BIN)/python -m tests.fuzz $(foreach name,DECODE PIPELINE SEED INPUT,$(if $($(name)),--$(call lower,$(name)) $($(name))))

lock: $(VENV)/ready # after a change of the dependencies in pyproject.toml
	echo 'uv==0.13.9' | $(UV) pip compile - --universal --generate-hashes --no-header --no-annotate -q -o bootstrap.lock
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --no-header -q -o dev.lock
	$(UV) pip compile pyproject.toml -c dev.lock --universal --generate-hashes --no-header -q -o run.lock

clean: ## back to a fresh clone
	-@test -x $(BIN)/motcua && $(BIN)/motcua down >/dev/null 2>&1
	rm -rf $(VENV) $(CACHE) motcua-data build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
