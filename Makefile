# The two commands that matter: `make demo` and `make test`. `make` alone lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
SCENARIO ?= three_tier

.PHONY: help setup demo run test unit check format golden docs conformance soak bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, uv, the locked Python environment
	@scripts/setup.sh

demo: setup ## watch a scenario being segmented, cell by cell (SCENARIO=three_tier)
	@$(PYTHON) -m mininet_scenarios.demo --scenario $(SCENARIO)

run: setup ## run the controller on this host (CONFIG=file; needs a running Open vSwitch)
	@.venv/bin/ringfence run $(if $(CONFIG),--config $(CONFIG))

test: setup ## everything: check, unit, property, live, golden, ovs, mininet, docker, soak in short (STAGES="unit ovs")
	@$(PYTHON) scripts/run_tests.py $(STAGES)

unit: ## only the unit tests
	@$(PYTHON) -m pytest tests/unit

check: ## ruff, strict mypy, the laws of the architecture (import-linter)
	@$(PYTHON) scripts/run_tests.py lint types laws

format: ## lay out the source as `make check` wants it
	@.venv/bin/ruff check --fix-only --quiet . ; .venv/bin/ruff format .

golden: ## rewrite the golden files; read the difference before you commit it
	@RINGFENCE_WRITE_GOLDEN=1 $(PYTHON) -m pytest tests/golden && git --no-pager diff --stat -- tests/golden

docs: ## rewrite the generated pages under docs/
	@$(PYTHON) scripts/generate_docs.py

conformance: setup ## every Kubernetes case of the shared data: model, traces on a real bridge, packets
	@$(PYTHON) -m tests.conformance.run

soak: setup ## the long runs; figures go to docs/figures.json and docs/figures.md
	@RINGFENCE_SOAK=1 $(PYTHON) -m pytest tests/soak tests/ovs/test_proof_*.py 'tests/docker/test_real_daemon.py::test_a_real_daemon_with_real_packets[proofs]' -vv --durations=0; \
	code=$$?; $(PYTHON) scripts/figures.py && exit $$code

bench: setup ## measure beside peers, one JSON line a row (ROW=name for one)
	@benchmarks/setup.sh && $(PYTHON) -m benchmarks $(ROW)
