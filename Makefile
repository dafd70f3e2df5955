# One door for people and for CI. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCE ?=
OUT    ?= out
# A person sees what is being fetched; a log needs only what went wrong.
PIP    := $(BIN)/python -m pip --disable-pip-version-check install $(if $(CI),--quiet --progress-bar off)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs format clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sedna-py needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment: install your system's python3-venv package"; exit 1; }

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing sedna-py and what the demo needs into $(VENV) (about 500 MB, once) ..."
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing sedna-py and the development tools into $(VENV) (about 600 MB, once) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## joint inference on a real video, on this machine; SOURCE=my.mp4|0|rtsp://... to use your own
	@$(BIN)/python examples/face_detection/demo.py --out '$(OUT)' $(if $(SOURCE),--source '$(SOURCE)')

test: $(VENV)/.dev ## every test that this machine can run
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## ruff, mypy strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.dev ## figures as ratios against a limit measured in the same run
	@$(BIN)/python -m tests.bench

docs: $(VENV)/.dev ## write the pages that are made from the code
	@$(BIN)/python -m workers.settings_table > docs/settings.md

format: $(VENV)/.dev ## let ruff rewrite the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove what the other targets made here (the download cache is left alone)
	rm -rf $(VENV) $(OUT) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
