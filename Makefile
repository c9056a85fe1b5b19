# pluct-ledger: `make help` lists what there is.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
PORT ?= 8787
ADAPTER ?= fastapi
ARGS ?=

SOURCES := $(wildcard src tests examples benchmarks alembic)
TYPED := $(wildcard src tests examples benchmarks)
ADAPTER_fastapi := examples.fastapi_app.app:create_app
MARIADB := mariadb-server-core mariadb-client-core

# The tests wait for databases part of the time, so one worker more than two cores keeps both busy.
PYTEST := $(BIN)/python -m pytest -n 3 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test soak check format serve system-packages clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-cli ## the main job on an embedded SQLite database, told as a story
	@$(BIN)/pluct-ledger demo

test: $(VENV)/.installed-dev ## every test on every database; ARGS="-m postgres" picks
	@$(PYTEST) $(ARGS)

soak: $(VENV)/.installed-dev ## the property tests for much longer
	@PLUCT_HYPOTHESIS_PROFILE=soak $(PYTEST) -o faulthandler_timeout=7200 $(ARGS)

check: $(VENV)/.installed-dev ## format, lint, types, layers
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## put the code into its one form
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

serve: $(VENV)/.installed-dev ## an example adapter on PORT (8787), ADAPTER (fastapi)
	@test -n "$(ADAPTER_$(ADAPTER))" || { \
	  echo "make serve: no adapter is called '$(ADAPTER)'; there is: $(patsubst ADAPTER_%,%,$(filter ADAPTER_%,$(.VARIABLES)))" >&2; \
	  exit 2; }
	@exec $(BIN)/python -m uvicorn $(ADAPTER_$(ADAPTER)) --factory --host 127.0.0.1 --port $(PORT)

system-packages: ## as root on Debian: the MariaDB server that the tests run privately
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; \
	if command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null; then \
	  echo "MariaDB's programs are installed."; exit 0; \
	fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make system-packages knows Debian only: install mariadbd and mariadb-install-db by your system's means." >&2; \
	  exit 1; \
	fi; \
	if [ "$$(id -u)" != 0 ]; then \
	  echo "make system-packages installs $(MARIADB): run it as root." >&2; exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -o Acquire::Retries=3 -qq update && \
	apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -qq install -y --no-install-recommends $(MARIADB) </dev/null

clean: ## remove the virtual environment, the test servers and every cache
	rm -rf "$$(readlink -f .cache/lanes)" .cache $(VENV) build dist .*_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made once, and again when pyproject.toml changes. What dev installs contains what cli does.

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing what tests and checks need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.installed-cli $@

$(VENV)/.installed-cli: pyproject.toml | $(BIN)/python
	@echo "Installing pluct-ledger into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$python ..."; \
	  $$python -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); \
	  echo "$$python cannot make virtual environments (on Debian: apt-get install python3-venv)." >&2; exit 1; \
	done; \
	echo "pluct-ledger needs Python 3.11 or newer$(if $(PYTHON), and $(PYTHON) is not); name one: make PYTHON=/path/to/python3 ..." >&2; \
	exit 1
