# Everything a person or CI does with this project. Needs Python 3.11-3.13, make and a package index, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SANDBOX_PORT ?= 8099
DEV_PORT     ?= 3000
# Of the sandbox's two APIs: platform or guide.
DIALECT      ?= platform

# uv installs the same pinned, hashed files about ten times faster than pip; it is used when it is there.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
  INSTALL := VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet
else
  INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help demo dev test check bench bench-listing bench-marts bench-playback bench-rate bench-throughput bench-year kills retention-kills storm voice-storm format seeds contract dictionary lock screenshots clean

help: ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "This project needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=python3.12, say."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# requirements.lock: the project and its sandbox. requirements-dev.lock: the same versions, and the tools of tests and checks.
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the pinned packages (once) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the tools of tests and checks (once) ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.installed ## take a finished day from the sandbox to Parquet and answer an analyst's questions (DIALECT=guide)
	@$(BIN)/media-pipeline demo --dialect $(DIALECT)

# The variables name the sandbox, whatever .env says; the instance's own folder is .dagster. Dagster starts when the
# sandbox has said where it listens: on a port that is taken, it would ask a stranger.
dev: $(VENV)/.installed ## sandbox + Dagster UI on http://127.0.0.1:3000
	@mkdir -p .dagster && test -f .dagster/dagster.yaml || cp dagster.yaml.example .dagster/dagster.yaml
	@rm -f .dagster/sandbox.log; touch .dagster/sandbox.log; \
	  $(BIN)/media-pipeline sandbox --port $(SANDBOX_PORT) --transcode-seconds 120 > .dagster/sandbox.log & \
	  trap 'kill %1 2>/dev/null' EXIT; \
	  until grep . .dagster/sandbox.log; do \
	    kill -0 $$! 2>/dev/null || { echo "The sandbox did not start. Another port: make dev SANDBOX_PORT=8100" >&2; exit 2; }; \
	    sleep 0.2; \
	  done; \
	  export DAGSTER_HOME=$(CURDIR)/.dagster MEDIA_ROOT=$(CURDIR)/data/dev MEDIA_SPOOL=$(CURDIR)/.dagster/spool \
	    GENESYS_DIALECT=$(DIALECT) GENESYS_BASE_URL=http://127.0.0.1:$(SANDBOX_PORT) GENESYS_LOGIN_URL= \
	    GENESYS_CLIENT_ID=sandbox-client GENESYS_CLIENT_SECRET=sandbox-secret GENESYS_REQUESTS_PER_MINUTE=3000; \
	  $(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port $(DEV_PORT)

test: $(VENV)/.installed-dev ## run the whole test suite
	@$(BIN)/pytest -n 3 --dist worksteal

check: $(VENV)/.installed-dev ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(VENV)/.installed-dev ## the measurements behind the README's figures
	@$(BIN)/python benchmarks/memory.py
	@$(BIN)/python benchmarks/long_recording.py
	@$(BIN)/python benchmarks/bgzf.py
	@$(BIN)/python -m benchmarks.privacy
	@$(MAKE) --no-print-directory bench-throughput

# Needs Debian's nginx-light, and for the others beside ours: gcc libisal-dev libssl-dev curl isal pigz aria2.
bench-throughput: $(VENV)/.installed-dev ## the engine's throughput beside other ways and the limit (QUICK=1: a minute)
	@$(BIN)/python -m benchmarks.throughput $(if $(QUICK),--quick)

bench-rate: $(VENV)/.installed-dev ## four processes on one rate budget: share of the limit used, share refused (three minutes)
	@$(BIN)/python -m benchmarks.rate_budget

bench-listing: $(VENV)/.installed-dev ## list a day of 100,000 recordings through the published API: calls, seconds, memory (three minutes)
	@$(BIN)/python -m benchmarks.platform_listing

bench-marts: $(VENV)/.installed-dev ## dbt's marts over 365 days of 10,000 recordings, and over one more (QUICK=1: 60 days; half an hour)
	@$(BIN)/python -m benchmarks.marts $(if $(QUICK),--days 60)

bench-year: $(VENV)/.installed-dev ## ten questions to 365 days of 10,000 recordings beside merged files, and the marts' builds (QUICK=1: 60 days; an hour)
	@$(BIN)/python -m benchmarks.year $(if $(QUICK),--days 60)

# Needs Debian's nginx-light.
bench-playback: $(VENV)/.installed-dev ## play a recording of 500 MB: first byte beside nginx, 200 listeners who seek (two minutes)
	@$(BIN)/python -m benchmarks.playback

kills: $(VENV)/.installed-dev ## kill -9 at 200 random instants of a day, 50 of write-back and 60 of deliveries, then prove it (25 minutes)
	@$(BIN)/python -m media_pipeline_tests.kills --kills 200
	@$(BIN)/python -m media_pipeline_tests.write_back_kills --kills 50
	@$(BIN)/python -m media_pipeline_tests.notify.delivery_kills --kills 60

storm: $(VENV)/.installed-dev ## 10,000 files, 50 broken streams and 20 kill -9 of who listens and fetches, then prove it (a quarter of an hour)
	@$(BIN)/python -m media_pipeline_tests.event_storm --events 10000 --disconnects 50 --kills 20 --uploads

voice-storm: $(VENV)/.installed-dev ## 1,000 voice messages a dialect, faults and 40 kill -9 of who sends, then prove it (half an hour)
	@$(BIN)/python -m media_pipeline_tests.voice_storm --messages 1000 --kills 40 --dialect guide
	@$(BIN)/python -m media_pipeline_tests.voice_storm --messages 1000 --kills 40 --dialect platform

retention-kills: $(VENV)/.installed-dev ## kill -9 of 100 runs over the retention ledger, holds coming meanwhile, then prove it
	@$(BIN)/python -m media_pipeline_tests.retention.kills --kills 100

format: $(VENV)/.installed-dev ## format and sort what can be done by machine
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

screenshots: $(VENV)/.installed-dev ## take the README's pictures from a running UI (needs Debian's chromium)
	@$(BIN)/python docs/screenshots.py

seeds: $(VENV)/.installed ## write the dbt project's typed empty tables anew from the schemas
	@$(BIN)/python -m media_pipeline.reports.empty_tables

contract: $(VENV)/.installed ## record what changed in the tables' schemas; refuses what breaks readers and has no note
	@$(BIN)/python -m media_pipeline.tables.contract

dictionary: $(VENV)/.installed ## write docs/dictionary.md anew from the schemas and the marts' pages
	@$(BIN)/python -m media_pipeline.sql.dictionary

lock: ## compile both requirement locks anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --extra sandbox --extra interactions --extra messaging --extra serve --extra reports --extra sql --extra build \
	  --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --all-extras --constraint requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml

clean: ## remove the environment and what the demo wrote
	rm -rf $(VENV) data .dagster
