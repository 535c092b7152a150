# Needs Python 3.11, Rust 1.91, a C compiler, OpenSSL 3's headers and make; sets up everything else
# inside this folder.

PYTHON := .venv/bin/python
LIBRARY := src/counterseal/core/_core.abi3.so

# Set-up runs again only when what it is made from has changed. Python's own files are not here: the
# package is installed in place.
PACKAGES := .venv/.packages
BUILT := .venv/.built
CRATES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

# A tree that was moved, or a library that was deleted, is set up again whatever the stamps say.
ifneq ($(shell cat .venv/.place 2>/dev/null),$(CURDIR))
$(PACKAGES): FORCE
endif
ifeq ($(wildcard $(LIBRARY)),)
$(BUILT): FORCE
endif

# Tests and the demonstration start hundreds of programs; each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo test soak bench lint clean FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

build: $(BUILT) ## set everything up; leaves .venv/bin/counterseal

$(PACKAGES): pyproject.toml uv.lock tools/setup.sh
	@tools/setup.sh python
	@touch $@

$(BUILT): $(PACKAGES) $(CRATES)
	@tools/setup.sh core
	@touch $@

demo: $(BUILT) ## a whole deployment here: messages, a warrant, an opening, its verification
	@.venv/bin/counterseal demo

test: lint ## everything a change has to pass: lint, then the Rust tests, then the Python tests
	@cargo test --quiet --release --locked --tests
	@$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

soak: $(BUILT) ## the tests that take long, which `make test` leaves out
	@$(PYTHON) -m pytest -m soak

lint: $(BUILT) ## formatting, linters, strict types, which room may import which
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || { \
		echo "Please install rustfmt and clippy first (rustup component add rustfmt clippy)." >&2; \
		exit 1; }
	@$(PYTHON) -m ruff check --quiet
	@$(PYTHON) -m ruff format --check --quiet --output-format concise
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-cache
	@cargo fmt --check
	@cargo clippy --quiet --release --locked --all-targets -- --deny warnings

bench: $(BUILT) ## each benchmark prints a table and a ratio against a peer or a limit
	@set -e; for file in $(basename $(notdir $(wildcard benchmarks/bench_*.py))); do \
		echo "== $$file"; \
		$(PYTHON) -m benchmarks.$$file; \
	done

clean: ## remove all that make has made
	@rm -rf .venv .tools target .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -f $(LIBRARY)
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
