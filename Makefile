# Two commands are all there is to set up: `make compare` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=

.PHONY: help compare diff page bench mutants results test parity ports soak lint format clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

compare: $(VENV)/run.done ## train PyTorch and JAX side by side and check them against NumPy (ARGS="--epochs 5")
	@$(BIN)/python -m compare run $(ARGS)

diff: $(VENV)/base.done ## show the code side by side, the same step on one row (ARGS="--form looped")
	@$(BIN)/python -m compare diff $(ARGS)

page: $(VENV)/run.done ## write a run as one HTML file to look at (ARGS="runs/latest")
	@$(BIN)/python -m compare page $(ARGS)

bench: $(VENV)/run.done ## time every form of every implementation (ARGS="--quick" for less than a minute)
	@$(BIN)/python -m compare bench $(ARGS)

mutants: $(VENV)/run.done ## plant every bug of the catalogue and see that parity catches it (ARGS="--seeds 0")
	@$(BIN)/python -m compare mutants $(ARGS)

results: $(VENV)/dev.done ## train the whole job on full MNIST and write docs/results.md (ARGS="--seeds 2"; hours)
	@$(BIN)/python -m compare.studies.results $(ARGS)

test: $(VENV)/dev.done ## run every test, a worker for each core (ARGS="-k parity")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

parity: $(VENV)/dev.done ## run the parity tests alone (ARGS="-k jax")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal tests/parity $(ARGS)

ports: $(VENV)/dev.done ## diagnose every port of the bench and print a table
	@PYTHONPATH=tests/support $(BIN)/python -m tests.compare.diagnose.table

soak: $(VENV)/dev.done ## run the tests that take long: kills, memory, processes (ARGS="-k kill")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m soak $(ARGS)

lint: $(VENV)/dev.done ## check style, format, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/dev.done ## put the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove the environment and every cache; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What needs no framework: NumPy, and what reads options, prints tables and draws.
$(VENV)/base.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("This needs Python 3.11 to 3.13; $(PYTHON) is %d.%d. Choose another: make PYTHON=python3.12" % v)'
	@echo "Setting up $(VENV) with NumPy: about a minute, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

# What running needs on top: PyTorch and JAX.
$(VENV)/run.done: $(VENV)/base.done
	@echo "Adding PyTorch and JAX to $(VENV): a few minutes, once."
	@$(PIP) --editable '.[pytorch,jax]'
	@touch $@

# What the tests need on top: pytest, ruff, mypy, import-linter, and TensorFlow Datasets for full MNIST.
$(VENV)/dev.done: $(VENV)/run.done
	@echo "Adding what the tests need to $(VENV): pytest, ruff, mypy, import-linter, TensorFlow Datasets."
	@$(PIP) --editable '.[pytorch,jax,mnist,dev]'
	@$(PIP) --editable '.[mlx]' || echo "MLX has no wheel for this system: the test of its example is skipped."
	@touch $@
