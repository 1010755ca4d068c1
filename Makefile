# Two commands on a fresh machine with Python >= 3.10, Rust and make:
#   make demo    builds and runs the main job on a generated trace
#   make test    builds, runs all tests, lints
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PYO3_PYTHON := $(abspath $(BIN)/python)
STAMP  := $(VENV)/.installed

.PHONY: help demo build test test-rust test-loom test-python postgres lint mutants mutants-ledger mutants-stream \
	kill-sweep simulate-ledger simulate-stream bench bench-instructions bench-core bench-ledger bench-large bench-hub \
	fleet fuzz fuzz-frames clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --group dev msgpack "numpy>=1.24" "sqlalchemy>=2.0.30,<2.2" "alembic>=1.13,<2" \
		"websockets>=15,<18"
	@touch $@

build: $(STAMP)  ## the package, built and installed into .venv
	PIP_QUIET=1 $(BIN)/maturin develop --release --quiet

demo: build      ## the main job: a generated trace through entitlements
	$(BIN)/fastcheck demo

test: lint test-rust test-loom test-python   ## everything CI runs

lint: build      ## rustfmt, clippy, ruff, mypy, stubtest
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastcheck._fastcheck --ignore-missing-stub

test-rust: build ## cargo's tests
	cargo test --workspace --locked

test-loom:       ## every interleaving of the lock-free parts, within bounds
	RUSTFLAGS="--cfg loom" cargo test --locked --release --target-dir target/loom -p fastcheck-core --test 'loom_*'

mutants:         ## breaks the core in named ways; each must be noticed by a named test (minutes)
	PYTHONPATH=tests $(PYTHON) -m proofs.mutants

postgres:        ## the PostgreSQL that the tests start; installed where root and apt-get are there
	@$(PYTHON) tests/rig/install_postgres.py

mutants-ledger: build ## the same for the ledger; each must be noticed by named tests (minutes)
	PYTHONPATH=tests $(BIN)/python -m proofs.ledger_mutants

mutants-stream: build ## the same for hub, stream and host (minutes)
	PYTHONPATH=tests $(BIN)/python -m proofs.stream_mutants

test-python: build postgres ## pytest
	$(BIN)/pytest

kill-sweep: build ## SIGKILL at every single instruction of each operation; about 20 minutes
	d=$$(mktemp -d) && PYTHONPATH=tests $(BIN)/python -m proofs.kill_sweep $$d/sweep; e=$$?; rm -rf $$d; exit $$e

LEDGER_SEEDS ?= 10000
STREAM_SEEDS ?= 10000
simulate-stream: build ## hubs and hosts under loss, noise, kills, partitions and backups, STREAM_SEEDS seeds
	PYTHONPATH=tests $(BIN)/python -m proofs.simulate_stream --seeds $(STREAM_SEEDS)

simulate-ledger: build ## the ledger under repeated, lost and late messages and crashes, LEDGER_SEEDS seeds
	PYTHONPATH=tests $(BIN)/python -m models.simulate_ledger --seeds $(LEDGER_SEEDS)

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

FUZZ_SECONDS ?= 600
fuzz-frames: build ## fuzzes what reads the other side's bytes, FUZZ_SECONDS (needs atheris: pip install atheris)
	$(BIN)/python fuzz/frames.py -max_total_time=$(FUZZ_SECONDS)

fuzz:            ## fuzzes catalog, snapshot, checkpoint and arena, FUZZ_SECONDS each (needs nightly and cargo-fuzz)
	for target in catalog snapshot checkpoint arena; do \
		cargo +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

clean:           ## forgets all that was built
	rm -rf target $(VENV)
