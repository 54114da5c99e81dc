# Every target does all of its own set-up: a Debian machine with Python 3.11 and git is enough.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check pythons format-check lint types lowest bench interop constraints format clean

# The newest Python here that pyproject.toml names, and the oldest one for the oldest versions of everything else.
# Others can be given: make test PYTHON=/opt/python/bin/python3
PYTHON ?= $(shell sh tools/pythons newest)
OLDEST_PYTHON ?= $(shell sh tools/pythons oldest)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check -qq
# How many test processes run side by side.
JOBS ?= 2
# Further words for the example site, for example: make run RUN_ARGS="--port 8001"
RUN_ARGS ?=
# Further words for pytest, for example: make test PYTEST_ARGS="-k trackback"
PYTEST_ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.base ## Start the example news site and print its address and a moderator's sign-in link
	$(RUN) -m examples.newsroom $(RUN_ARGS)

test: $(VENV)/.dev servers ## Run the whole test suite
	$(RUN) -m pytest -n $(JOBS) $(PYTEST_ARGS)

check: $(VENV)/.dev servers format-check lint types lowest ## Run what CI runs: format, lint, types, oldest versions, tests with coverage
	$(RUN) -m pytest -n $(JOBS) --cov --cov-report=term $(PYTEST_ARGS)

format-check: $(VENV)/.dev
	$(RUN) -m ruff format --check .

lint: $(VENV)/.dev
	$(RUN) -m ruff check .

types: $(VENV)/.dev ## Check the types
	$(RUN) -m mypy

pythons: ## Run the whole test suite on each Python here that pyproject.toml names
	@sh tools/pythons | while read -r version program; do \
		$(MAKE) test VENV=.venv-$$version PYTHON=$$program </dev/null || exit 1; \
	done

# Long searches for an order of events that breaks a rule, processes that are killed or replaced, and what reads source
# files or judges texts: the same on all versions.
LESS := $(foreach name,*machine gunicorn deploy_examples store_killed life_cycle shape import_arrows spam_bench,--ignore-glob='*/test_$(name).py')

lowest: .venv-lowest/.dev servers ## Run the tests on the oldest versions that pyproject.toml admits, Python's included
	.venv-lowest/bin/python -m pytest -n $(JOBS) -m "not browser" -p no:cacheprovider $(LESS) $(wildcard tests/unit tests/contract tests/web tests/hosts)

bench: $(VENV)/.dev servers ## Run the benchmarks and print their tables (BENCH="name …" for some of them)
	$(RUN) -m bench $(BENCH)

interop: $(VENV)/.dev servers ## Exchange pings with other programs that speak the protocols
	$(RUN) -m pytest tests/interop $(PYTEST_ARGS)

format: $(VENV)/.dev ## Bring the code into its format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

constraints: $(VENV)/.dev ## Write the versions that are installed now to constraints.txt
	$(RUN) tools/pin.py installed > constraints.new
	mv constraints.new constraints.txt

clean: ## Remove all that make has made, the virtual environments too
	rm -rf $(VENV) .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist build constraints.new
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ---------------------------------------------------------------------------------------

.PHONY: servers
servers:
	@sh tools/debian-packages redis postgresql pgbouncer mariadb chromium cjk-font npm systemd

# $(call make_venv,PYTHON,FOLDER)
define make_venv
@python=$(1); "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed (apt-get install python3)." >&2; exit 1; }; \
"$$python" -c 'import ensurepip' 2>/dev/null || sh tools/debian-packages venv; \
echo "$(2): $$("$$python" --version)"; "$$python" -m venv $(2)
endef

$(VENV)/bin/python:
	$(call make_venv,$(PYTHON),$(VENV))

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e . gunicorn
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.base $@

.venv-lowest/.dev: pyproject.toml constraints.txt tools/pin.py | $(VENV)/bin/python
	$(call make_venv,$(OLDEST_PYTHON),.venv-lowest)
	$(RUN) tools/pin.py floors > .venv-lowest/floors.txt
	.venv-lowest/bin/python -m pip --disable-pip-version-check -qq install -c .venv-lowest/floors.txt -e '.[test]'
	@touch $@
