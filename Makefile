# On a fresh machine with Python >= 3.10, Rust and make:
#   make demo    builds and runs the main job on a generated trace
#   make test    builds, runs all tests, lints
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PYO3_PYTHON := $(abspath $(BIN)/python)
STAMP  := $(VENV)/.installed
RUST   := Cargo.toml Cargo.lock pyproject.toml $(shell find rust -type f -not -path '*/tests/*')
# Tests use a build without link-time optimisation, which is as fast for them and made in a fraction of the time.
BUILT  := $(VENV)/.built-quick
TESTS  := $(BIN)/pytest -n 2 --dist worksteal

.PHONY: help build demo quick test prove lint test-rust test-loom postgres bench bench-instructions bench-core \
	bench-ledger bench-large bench-hub fleet clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --group dev msgpack "numpy>=1.24" "sqlalchemy>=2.0.30,<2.2" "alembic>=1.13,<2" \
		"websockets>=15,<18"
	@touch $@

$(VENV)/.built-%: $(STAMP) $(RUST)
	PIP_QUIET=1 $(BIN)/maturin develop --profile $* --quiet
	@rm -f $(VENV)/.built-* && touch $@

build: $(VENV)/.built-release  ## the package, optimised and installed into .venv

demo: build      ## the main job: a generated trace through entitlements
	$(BIN)/fastcheck demo

quick: lint      ## lint and the tests of single modules; a minute
	$(TESTS) tests/unit

test: $(BUILT) postgres  ## everything once; all that CI runs
	$(MAKE) --no-print-directory -j2 -Otarget lint test-rust test-loom
	$(TESTS)

prove: $(BUILT) postgres ## all campaigns: mutants, kill sweep, seeds, random examples, fuzz; hours. ONLY=mutants: one
	PYTHONPATH=tests $(BIN)/python -m proofs $(ONLY)

lint: $(BUILT)   ## rustfmt, clippy, ruff, mypy, stubtest
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastcheck._fastcheck --ignore-missing-stub

test-rust: $(STAMP) ## cargo's tests
	+cargo test --workspace --locked --quiet

test-loom:       ## every interleaving of the lock-free parts, within bounds
	RUSTFLAGS="--cfg loom" cargo test --locked --quiet --profile quick --target-dir target/loom -p fastcheck-core \
		--test 'loom_*'

postgres:        ## the PostgreSQL that the tests start; installed where root and apt-get are there
	@PYTHONPATH=tests $(PYTHON) -m rig.install_postgres

bench: build     ## every figure in one run, as a ratio to its floor; writes docs/benchmarks.md
	$(BIN)/python -m benches.run

bench-instructions: build ## instructions per call (valgrind), against benches/instructions.json
	$(BIN)/python -m benches.instructions

bench-core:      ## the core alone (criterion)
	cargo bench --locked -p fastcheck-core

bench-ledger: build postgres ## the ledger's figures in one run; writes docs/benchmarks-ledger.md
	$(BIN)/python -m benches.ledger

bench-large: build postgres ## a million customers in PostgreSQL; takes minutes and 5 GB; writes docs/benchmarks-large.md
	$(BIN)/python -m benches.ledger_large --docs docs

bench-hub: build postgres ## the hub and the stream; 15 minutes and 5 GB; writes docs/benchmarks-hub.md
	$(BIN)/python -m benches.hub --docs docs

fleet: build     ## a hub, an app with four workers, a plan that changes while requests run
	$(BIN)/python examples/fleet/run.py

clean:           ## forgets all that was built
	rm -rf target $(VENV)
