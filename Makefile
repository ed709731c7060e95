# Needs Python 3.11 or newer, git and make; everything else goes into .venv.

PYTHON ?= python3
VENV ?= .venv
CONFORMANCE ?= ../shared/conformance
MINUTES ?= 10
TARGET ?= all

bin := $(VENV)/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test test-live docs packages screenshots conformance bench fuzz clean

help:
	@echo "make demo          install into a fresh $(VENV) and report on a capture that ships"
	@echo "make test          types, lint, formatting, import order, tests"
	@echo "make test-live     tests with real servers and a browser; needs root, chromium and the programs of captures/README.md"
	@echo "make docs          the handbook into site/, warnings being errors"
	@echo "make packages      sdist and wheel into dist/, checked"
	@echo "make screenshots   the README's pictures of the screen and the page; needs root, nginx, curl and chromium"
	@echo "make conformance   compare with tshark on the captures in CONFORMANCE ($(CONFORMANCE))"
	@echo "make bench         time and memory against tshark and tcptrace"
	@echo "make fuzz          mutated captures for MINUTES ($(MINUTES)); TARGET=tls, http2 or websocket for one protocol"
	@echo "make clean         remove what was built"

demo:
	@rm -rf $(VENV)
	@$(MAKE) --no-print-directory $(VENV)/installed
	$(bin)/connspect read captures/nginx-idle/client.pcapng

test: $(VENV)/installed-dev
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/python -m pytest -m "not live"

test-live: $(VENV)/installed-dev
	$(bin)/python -m pytest -m live -rs

# The theme's notice about its next version is no warning of ours.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict --quiet --clean

packages: $(VENV)/installed-dev
	rm -rf dist build
	$(bin)/python -m build --outdir dist .
	$(bin)/twine check --strict dist/*

screenshots: $(VENV)/installed-dev
	$(bin)/python -m tests.live.screenshots docs
	$(bin)/python -m tests.live.page_picture docs

# tests/packets compares columns with Scapy on these captures, too; the laws over batch sizes hold on them.
conformance: $(VENV)/installed-dev
	@if [ -d "$(CONFORMANCE)" ]; then \
		$(bin)/python "$(CONFORMANCE)/compare.py" --command "'$(abspath $(bin))/connspect'" \
			--known tests/conformance.toml && \
		CONNSPECT_CONFORMANCE="$(abspath $(CONFORMANCE))" $(bin)/python -m pytest tests/packets tests/sources tests/test_laws.py; \
	else \
		echo "conformance: there is no $(CONFORMANCE); skipped"; \
	fi

bench: $(VENV)/installed-dev
	$(bin)/python -m bench

fuzz: $(VENV)/installed-dev
	$(bin)/python -m tests.fuzz --minutes $(MINUTES) --target $(TARGET)

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/built
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "connspect needs Python 3.11 or newer: make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(bin)/python setup.cfg
	@$(pip) install .
	@touch $@

# Editable, so that it is installed once: the code that runs is the code that is there.
$(VENV)/installed-dev: $(bin)/python setup.cfg
	@$(pip) install --editable '.[dev,docs]'
	@touch $@
