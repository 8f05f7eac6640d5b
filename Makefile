# Ringback's few verbs. Everything happens in .venv; nothing is installed outside this folder.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# The versions of Svix's SDK that the tests drive the server with, each in a folder of its own.
SDKS := $(patsubst tests/sdks/%.lock,$(VENV)/sdks/%/installed,$(wildcard tests/sdks/*.lock))
# The first of these that is Python 3.11 or newer is used; set PYTHON to choose another.
PYTHON ?= $(shell for name in python3.11 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$name && break; done)

.DEFAULT_GOAL := run
.PHONY: install sdks browser pooler run test check bench drill docs screenshots comparison compatibility lock clean

install: $(STAMP) ## Make .venv with exactly what requirements.lock names

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Ringback needs Python 3.11 or newer. Install it, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

run: install ## Run a shop with the Xendit sandbox and a server, and watch orders being paid
	$(BIN)/ringback dev

sdks: $(SDKS) ## Fetch the SDKs that the tests drive the server with

$(VENV)/sdks/%/installed: tests/sdks/%.lock $(STAMP)
	rm -rf $(@D)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(@D) -r $<
	@touch $@

browser: install ## Install Chromium from Debian's packages, where there is no browser for the tests
	@$(BIN)/python -m scripts.chromium

pooler: install ## Install PgBouncer from Debian's packages, where there is none for the tests
	@$(BIN)/python -m scripts.pgbouncer

test: check sdks browser pooler ## Check the code, then run every test, as many at a time as there are processors
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist worksteal

check: install ## Lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: install ## Measure throughput and latency on this machine; JSON=FILE keeps the figures, ARGS="--seconds 5" sets options
	$(BIN)/python -m bench $(if $(JSON),--json "$(JSON)") $(ARGS)

drill: install ## Kill nodes and crash their PostgreSQL for two minutes, under load, and tell what became of the messages
	$(BIN)/python -m bench.drill $(ARGS)

docs: install ## Write the pages again that are made from the source
	$(BIN)/python scripts/state_diagram.py --write
	$(BIN)/python scripts/reference_pages.py

screenshots: install browser ## Take a picture of every page, light and dark, wide and narrow, into screenshots/; ARGS="NAME ..." takes some
	$(BIN)/python scripts/page_screenshots.py $(ARGS)

comparison: install ## Measure polling against webhooks for the documentation: its chart and table
	$(BIN)/python scripts/comparison_page.py

compatibility: install sdks ## Do every operation of the Svix API with every SDK, for the table in the documentation
	$(BIN)/python scripts/svix_compatibility.py

lock: install ## Resolve the dependencies in pyproject.toml again
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --strip-extras --extra dev \
		--output-file requirements.lock pyproject.toml

clean: ## Remove what the other verbs made, but not the data of `make run`
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +
