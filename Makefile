# make run: set up and run the bot. make test: set up and test. Nothing is installed twice.

VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= 0001.json
ARGS ?=
PYTEST_ARGS ?=
SEEDS ?= 10000
KILLS ?= 200
KEEP ?=

LOCKED := setup.cfg pyproject.toml constraints/packages.txt constraints/tools.txt tools/install.sh

.PHONY: run backtest validate test soak check bench docs lock clean

run: $(VENV)/.installed
	$(BIN)/python trading_bot.py $(CONFIG) $(ARGS)

backtest: $(VENV)/.installed
	$(BIN)/python backtest.py $(CONFIG) $(ARGS)

validate: $(VENV)/.installed
	$(BIN)/python src/trading/config_validator.py $(CONFIG) $(ARGS)

# A third process on two cores: some tests wait for the clock or for other processes.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 3 --dist worksteal -q $(PYTEST_ARGS)

# More of the proofs than the tests have time for: SEEDS days drawn from seeds, KILLS times SIGKILL. With KEEP=folder a
# soak that was cut short goes on from there.
soak: $(VENV)/.installed-dev
	PYTHONPATH=src:. $(BIN)/python -m tests.reliability.soak --seeds $(SEEDS) --kills $(KILLS) $(if $(KEEP),--keep $(KEEP))

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) test

bench: $(VENV)/.installed-dev
	@set -e; for script in benchmarks/*_speed.py; do echo "$$script"; $(BIN)/python "$$script"; done

# What is generated: the config's schema and the page of rules.
docs: $(VENV)/.installed
	$(BIN)/python -m trading.config.schema
	$(BIN)/python tools/rules_page.py

# The locked versions, anew: one file for Python 3.11 to 3.13.
lock: $(VENV)/.installed
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --no-header --upgrade \
		--quiet --output-file constraints/packages.txt setup.cfg

clean:
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv: constraints/tools.txt
	@python=$$(tools/choose_python.sh) && echo "making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/tools.txt uv
	@touch $@

$(VENV)/.installed: $(BIN)/uv $(LOCKED)
	tools/install.sh .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	tools/install.sh '.[dev]'
	@touch $@
