# `make compare` and `make test` set up what they need. `make help` lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=

.PHONY: help compare diff page site bench mutants results test parity ports soak lint format clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

compare: $(VENV)/run.done ## train PyTorch and JAX side by side and check them against NumPy (ARGS="--epochs 5")
	@$(BIN)/python -m compare run $(ARGS)

diff: $(VENV)/base.done ## show the code side by side, the same step on one row (ARGS="--form looped")
	@$(BIN)/python -m compare diff $(ARGS)

page: $(VENV)/run.done ## write one HTML file that shows a run (ARGS="runs/latest")
	@$(BIN)/python -m compare page $(ARGS)

site: $(VENV)/site.done ## build the web site in site/: README, docs, the page of the newest run, a search
	@if [ -e runs/latest ]; then $(BIN)/python -m compare page; else $(BIN)/python -m compare run; fi
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --config-file docs/site/mkdocs.yml
	@rm -rf site && mv build/site site
	@echo "Site: site/. Look at it: $(BIN)/python -m http.server --directory site"

bench: $(VENV)/run.done ## time every form of every implementation (ARGS="--quick" for less than a minute)
	@$(BIN)/python -m compare bench $(ARGS)

mutants: $(VENV)/run.done ## plant known bugs and test that the checks catch them (ARGS="--seeds 0")
	@$(BIN)/python -m compare mutants $(ARGS)

results: $(VENV)/dev.done ## train the whole job on full MNIST and write docs/results.md (ARGS="--seeds 2"; hours)
	@$(BIN)/python -m compare.studies.results $(ARGS)

test: $(VENV)/dev.done ## run every test, with one worker per core (ARGS="-k parity")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

parity: $(VENV)/dev.done ## run only the parity tests (ARGS="-k jax")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal tests/parity $(ARGS)

ports: $(VENV)/dev.done ## diagnose every port of the bench and print a table
	@PYTHONPATH=tests/support $(BIN)/python -m tests.compare.diagnose.table

soak: $(VENV)/dev.done ## run the tests that take long: kills, memory, processes (ARGS="-k kill")
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m soak $(ARGS)

lint: $(VENV)/dev.done ## check style, format, types and imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/dev.done ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove the environment and every cache; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For commands without a framework: NumPy, and the libraries that read options, print tables and draw.
$(VENV)/base.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("This needs Python 3.11 to 3.13; $(PYTHON) is %d.%d. Choose another: make PYTHON=python3.12" % v)'
	@echo "Setting up $(VENV) with NumPy: about a minute, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

# For running, in addition: PyTorch and JAX.
$(VENV)/run.done: $(VENV)/base.done
	@echo "Adding PyTorch and JAX to $(VENV): a few minutes, once."
	@$(PIP) --editable '.[pytorch,jax]'
	@touch $@

# For the web site, in addition: MkDocs, its theme, and nbconvert for the notebook.
$(VENV)/site.done: $(VENV)/run.done
	@$(PIP) --editable '.[pytorch,jax,site]'
	@touch $@

# For the tests, in addition: pytest, ruff, mypy, import-linter, and TensorFlow Datasets for full MNIST.
$(VENV)/dev.done: $(VENV)/run.done
	@echo "Installing the tests' dependencies into $(VENV): pytest, ruff, mypy, import-linter, TensorFlow Datasets."
	@$(PIP) --editable '.[pytorch,jax,mnist,dev]'
	@$(PIP) --editable '.[mlx]' || echo "MLX has no wheel for this system: the test of its example is skipped."
	@touch $@
