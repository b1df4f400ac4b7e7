# Every target is one command. `make help` lists them.
SUITE   ?= icons_quick
PYTHON  ?= python3
BASE    ?= origin/main
BIN     := .venv/bin
READY   := .venv/.ready
OPTIONS := $(if $(METHODS),--methods "$(METHODS)") $(if $(SCENARIOS),--scenarios "$(SCENARIOS)") $(if $(SEEDS),--seeds "$(SEEDS)")
RUN     := $(OPTIONS) $(if $(JOBS),--jobs $(JOBS)) $(if $(RETRY),--retry) $(if $(EXECUTOR),--executor $(EXECUTOR))
COMPUTE := tests/comparison tests/discovery/contract tests/evaluation tests/execution/test_cell.py \
           tests/generations tests/measurement tests/methods tests/report tests/test_encoders.py tests/test_heads.py \
           tests/trust \
           --ignore tests/report/site/test_leaderboard_page_browser.py # there the browser computes

.DEFAULT_GOAL := help
.PHONY: help setup bench smoke plan tune status report verify submit tables changed list docs site test older lint check new torture fuzz error-rates speed

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## make .venv and install the locked requirements into it

bench: $(READY)  ## run what is missing of SUITE (default icons_quick; fashion where its drawings cannot be had)
	@suite=$(SUITE); \
	if [ $(origin SUITE) = file ] && ! $(BIN)/compatbench data get iconsets --set size=64; then \
	  suite=fashion; echo "running $$suite in place of $(SUITE)"; \
	fi; \
	$(BIN)/compatbench run $$suite $(RUN)

smoke: $(READY)  ## the digits suite: every method, seconds each
	$(BIN)/compatbench run digits $(RUN)

plan: $(READY)  ## what `make bench` would run, and for how long
	$(BIN)/compatbench plan $(SUITE) $(OPTIONS)

tune: $(READY)  ## try eight settings of METHODS of SUITE on held-out images
	$(BIN)/compatbench tune $(SUITE) $(RUN)

status: $(READY)  ## what of SUITE runs, finished, and failed and why
	$(BIN)/compatbench status $(SUITE) $(OPTIONS)

report: $(READY)  ## write and print the tables of SUITE again
	$(BIN)/compatbench report $(SUITE) $(OPTIONS)

verify: $(READY)  ## check all records against their per-query arrays, and the leaderboard's tables
	$(BIN)/compatbench verify

submit: $(READY)  ## put verified runs of SUITE on the leaderboard
	$(BIN)/compatbench submit $(SUITE) $(OPTIONS)

tables: $(READY)  ## the leaderboard's tables and pages again, and its part of README.md
	$(BIN)/compatbench tables

changed: $(READY)  ## the digits suite, for the methods that differ from BASE (default origin/main)
	@methods=$$($(BIN)/python scripts/changed_methods.py $(BASE)) && \
	if [ -n "$$methods" ]; then $(BIN)/compatbench run digits --retry --methods "$$methods"; else echo "no method differs from $(BASE)"; fi

list: $(READY)  ## suites, datasets and methods
	$(BIN)/compatbench list

check: $(READY)  ## does METHOD=name keep the contract?
	$(BIN)/compatbench check $(METHOD)

new: $(READY)  ## a new method file, methods/METHOD.py
	$(BIN)/compatbench new $(METHOD)

docs: $(READY)  ## docs/methods.md again, from the method files
	$(BIN)/compatbench docs

site: $(READY)  ## README, docs and the board as a site, build/site; a broken link fails
	$(BIN)/python -m mkdocs --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check mkdocs-material==9.8.1
	@mkdir -p build/site-pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

test: $(READY)  ## the tests
	$(BIN)/pytest -n 2 --dist worksteal

older: $(READY)  ## the tests that compute, records of one seed, and all tables, with the arithmetic of an older processor
	scripts/older_processor.sh $(BIN)/pytest -n 2 --dist worksteal $(COMPUTE)
	scripts/older_processor.sh $(BIN)/compatbench verify --seeds 0

torture: $(READY)  ## kill runs KILLS times (100), and run on odd machines (hours); ONLY=icons for some of it
	KILLS=$(KILLS) OTHERS=$(OTHERS) $(BIN)/pytest -m torture -s tests/execution $(if $(ONLY),-k "$(ONLY)")

fuzz: $(READY)  ## two hundred thousand broken and hostile inputs to the readers of files, or INPUTS to each
	INPUTS=$(INPUTS) $(BIN)/pytest -m fuzz -s tests/fuzz

error-rates: $(READY)  ## the error rates of the rule of significance, simulated, into docs/protocol.md (ten minutes of one core)
	$(BIN)/python tests/evaluation/error_rates.py && $(BIN)/pytest -m simulation tests/evaluation

speed: $(READY)  ## the speed suites; their results appear in the next report
	@mkdir -p results/runs
	$(BIN)/pytest benchmarks/speed --benchmark-json=results/runs/speed.json

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy
	$(BIN)/mypy --allow-untyped-calls benchmarks/speed scripts/*.py

$(READY): requirements.lock pyproject.toml hatch_build.py src/compatbench/evaluation/counting.c
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
