# Every target sets up what it needs by itself: a virtual environment in .venv, with the versions of
# constraints.txt. A stamp file says what is installed, so the second time nothing is asked of the network.
# Works from any folder: make -C path/to/smalti test

MAKEFLAGS += --no-print-directory
PYTHON ?=
VENV ?= .venv
PY = $(VENV)/bin/python
PIP = $(PY) -m pip --quiet --disable-pip-version-check install --constraint constraints.txt

# What `pip install torch` brings on Linux is built for CUDA and takes gigabytes. The same version for CPUs lies in an
# index of its own: 2.13.0+cpu satisfies 2.13.0 and goes before it. For CUDA: make TORCH_INDEX=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# An environment copied here from another folder still runs the code over there; it is installed again.
ifneq ($(shell cat $(VENV)/.place 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/.made $(VENV)/.torch $(VENV)/.installed*)
endif

.PHONY: help demo test bench format constraints clean
.DELETE_ON_ERROR:

help: ## say what there is
	@echo "make demo    segment the photographs that come with scikit-image; pictures and an index.html"
	@echo "make test    rules, format, types, tests and the examples of the docs"
	@echo "make bench   measure against other libraries; ONLY=name for one row"
	@echo "make format  lay the code out and fix what can be fixed"
	@echo "make constraints  write constraints.txt anew, from the newest versions"
	@echo "make clean   remove the environment and all caches"

demo: $(VENV)/.installed
	@$(PY) -m smalti demo

# The examples of the docs, most of which are commands that start anew, and the tests that train networks run beside the
# others, each one thread: two halves that take as long as each other on two cores.
# Spreading all tests over two processes (pytest-xdist) was slower, 69 s against 53 s for 1,500 tests on two cores
# with nothing compiled: each loads, and at first compiles, the same code.
PYTEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -q -m "not slow and not bench"
BESIDE = tests/test_docs.py tests/deep tests/train
test: $(VENV)/.installed-dev
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet . || { echo "the files above are not laid out; run: make format"; exit 1; }
	@$(PY) -m mypy
	@$(PYTEST) -p no:cacheprovider $(BESIDE) > $(VENV)/beside.log 2>&1 & beside=$$!; \
		$(PYTEST) $(BESIDE:%=--ignore=%); rest=$$?; \
		wait $$beside; others=$$?; cat $(VENV)/beside.log; \
		exit $$((rest > others ? rest : others))

bench: $(VENV)/.installed-bench
	@$(PY) benchmarks/run.py $(ONLY)

format: $(VENV)/.installed-dev
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

constraints:
	@$(MAKE) VENV=.venv-fresh .venv-fresh/.torch
	@.venv-fresh/bin/python -m pip --quiet install hatchling editables
	@.venv-fresh/bin/python -m pip --quiet install --no-build-isolation --editable '.[dev,bench]'
	@{ sed -n '/^#/p' constraints.txt; \
		.venv-fresh/bin/python -m pip freeze --exclude-editable | sed '/^torch==/s/+.*//' | sort -f; \
	} > .venv-fresh/constraints.txt
	@mv .venv-fresh/constraints.txt constraints.txt && rm -rf .venv-fresh

clean:
	@rm -rf $(VENV) .venv-fresh .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@for each in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$each"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "smalti needs Python 3.11 or newer, found: $$(python3 --version 2>&1); say which: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV)
	@echo "$(CURDIR)" > $(VENV)/.place
	@touch $@

# hatchling from constraints.txt and no isolated build: otherwise pip would fetch its newest version each time.
$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing smalti into $(VENV), with the versions of constraints.txt"
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation --editable .
	@touch $@

# torch by itself, as pip asks an index for every package: once is 5 s where this one cannot be reached, and 12 s a
# package with pip's five retries. Then torch comes from where pip looks anyway.
$(VENV)/.torch: $(VENV)/.made constraints.txt
	@if [ "$$(uname -s)" = Linux ] && [ -n "$(TORCH_INDEX)" ]; then \
		echo "installing torch for CPUs"; \
		$(PIP) --no-deps --retries 0 --timeout 15 --extra-index-url "$(TORCH_INDEX)" torch; \
	fi
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.torch

$(VENV)/.installed-%: $(VENV)/.installed
	@echo "installing what '$*' needs"
	@$(PIP) --no-build-isolation --editable '.[$*]'
	@touch $@
