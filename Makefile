# quicpro: everything by one command. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help bootstrap bootstrap-tests bootstrap-full build develop demo test test-full test-asan lint bench fuzz dist clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Everything that a change of makes the installed package stale.
SOURCES := $(shell find libquicpro bindings/python meson.build meson.options pyproject.toml tools/build_engine.py -type f -not -name '*.pyc' 2>/dev/null)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

bootstrap:
	@tools/bootstrap

bootstrap-tests:
	@tools/bootstrap --tests

bootstrap-full:
	@tools/bootstrap --full

$(VENV)/.tools: tools/requirements-build.txt tools/requirements-test.txt | bootstrap
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tools/requirements-build.txt -r tools/requirements-test.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.tools $(SOURCES)
	@tools/build_engine.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall \
	  -C build-dir=build/python -C setup-args=-Dtests=false .
	@touch $@

build: bootstrap $(VENV)/.installed ## build the library and install the Python package into .venv

develop: bootstrap $(VENV)/.tools ## the same, editable: Python and C changes count at the next import
	@tools/build_engine.py
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -C build-dir=build/develop -C setup-args=-Dtests=false -e .
	@rm -f $(VENV)/.installed

demo: build ## an unmodified ASGI app over HTTP/3, fetched by four clients
	@$(BIN)/python examples/demo.py

test: bootstrap-tests build ## every test that needs no special machine; the last line counts them
	@$(BIN)/python tools/run_tests.py

test-full: bootstrap-full build ## test, and the long ones: all peers, a clean wheel, longer fuzzing
	@$(BIN)/python tools/run_tests.py --full

test-asan: bootstrap-tests build ## C tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(BIN)/python tools/run_tests.py --only asan

FUZZ_SECONDS ?= 60
fuzz: bootstrap-tests build ## fuzz each target for FUZZ_SECONDS (60); inputs that fail stay in build/logs
	@$(BIN)/python tools/run_tests.py --only fuzz --fuzz-each $(FUZZ_SECONDS)

lint: bootstrap-tests build ## formatters, linters, type checks, layers
	@$(BIN)/python tools/run_tests.py --only lint

bench: build ## compare with peers (tools/bench_peers fetches them); BENCH=--quick is shorter
	@tools/bench_peers
	@for name in h3_server h3_client quic_bulk quic_handshake quic_memory quic_latency; do \
	  $(BIN)/python benchmarks/$$name.py $(BENCH) || exit 1; done

dist: $(VENV)/.tools ## source distribution and wheel in dist/
	@tools/make_dist

clean: ## remove what was built here (the cache folder stays)
	rm -rf build dist $(VENV)
