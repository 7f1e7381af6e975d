# `make demo` and `make test` need nothing prepared: they make .venv and install into it.
PYTHON ?= python3
BIN = .venv/bin
# llama-cpp-python compiles on its first install; all cores make that minutes instead of a quarter of an hour.
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

.PHONY: demo test check bench wheel lock clean

demo: .venv/installed
	$(BIN)/escl demo

test: .venv/installed-test
	$(BIN)/python -m pytest -n auto --dist loadscope

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Writes models with random weights into a temporary folder, runs every comparison (about 20 minutes on 4 cores) and
# saves the tables under benchmarks/results. BENCH="--quick --only simulation" and the like choose.
bench: .venv/installed
	$(BIN)/python -m benchmarks $(BENCH)

# Builds the wheel, installs it into an empty environment and runs the demo from there, away from this checkout.
wheel: .venv/installed-dev
	sh tools/try_wheel.sh $(abspath $(BIN))

# Renews the exact versions that the installs above use.
lock: .venv/installed-dev
	$(BIN)/pip freeze --exclude-editable --exclude escl > requirements.lock

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "escl needs Python 3.11 or newer; say PYTHON=python3.12"'
	$(PYTHON) -m venv .venv || { rm -rf .venv; false; }

.venv/installed: pyproject.toml requirements.lock | .venv/bin/python
	@echo "installing into .venv; llama-cpp-python compiles llama.cpp the first time, which takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	@touch $@

.venv/installed-test: pyproject.toml requirements.lock | .venv/bin/python
	@echo "installing into .venv; llama-cpp-python compiles llama.cpp the first time, which takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[test]'
	@touch $@ .venv/installed

.venv/installed-dev: pyproject.toml requirements.lock | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@ .venv/installed .venv/installed-test
