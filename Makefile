# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The newest interpreter that really runs: a pyenv shim may exist and fail.
define find_python
for p in python3.13 python3.12 python3.11 python3; do \
  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then echo "$$p"; exit 0; fi; \
done; echo "no Python 3.11 to 3.13 with venv found" >&2; exit 1
endef

$(VENV)/.ready: pyproject.toml
	@python=$$($(find_python)) && "$$python" -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade pip
	@$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@

.PHONY: venv demo test test-all lint
venv: $(VENV)/.ready

demo: venv
	$(BIN)/s2dask demo

test: venv
	$(BIN)/python -m pytest -q -m "not slow"

test-all: venv
	$(BIN)/python -m pytest -q

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy s2dask
