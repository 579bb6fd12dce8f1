# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock

# The newest interpreter that really runs: a pyenv shim may exist and fail.
define find_python
for p in python3.13 python3.12 python3.11 python3; do \
  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then echo "$$p"; exit 0; fi; \
done; echo "no Python 3.11 to 3.13 with venv found" >&2; exit 1
endef

# The versions that were tried, checked by their hashes; the build tool is among them.
$(VENV)/.ready: pyproject.toml $(LOCK)
	@python=$$($(find_python)) && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: venv demo test test-all bench lint rows lock
venv: $(VENV)/.ready

demo: venv
	$(BIN)/s2dask demo

# Two processes at a time, a file of tests to one of them: its fixtures are made once.
test: venv
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile

test-all: venv
	S2DASK_HYPOTHESIS=free $(BIN)/python -m pytest -q

bench: venv
	$(BIN)/python benchmarks/run.py

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy

# docs/verification.md: which rows of the verification list the tests prove
rows: venv
	$(BIN)/python .ci/rows.py

# Try the newest versions that pyproject.toml allows: after this, `make test-all`.
lock: venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet -o $(LOCK)
