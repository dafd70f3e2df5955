# One door for people and for CI. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCE ?=
OUT    ?= out
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGES := controller worker storage-initializer
ENGINE ?= $(shell docker version > /dev/null 2>&1 && echo docker || command -v podman || command -v buildah)
# A person sees what is being fetched; a log needs only what went wrong.
PIP    := $(BIN)/python -m pip --disable-pip-version-check install $(if $(CI),--quiet --progress-bar off)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench crds docs format images clean cluster cluster-e2e cluster-down kubernetes-binaries

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

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
	@$(BIN)/python -m tests.cluster packages || echo "going on without the tests that need nodes"
	@$(BIN)/python -m tests.cluster binaries || echo "going on without the tests that need a control plane"
	@$(BIN)/python -m tests.faults || echo "going on without the tests that need bad links"
	@$(BIN)/python -m tests.images || echo "going on without the tests that need images"
	@$(BIN)/python -m tests

check: $(VENV)/.dev ## ruff, mypy strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

cluster: $(VENV)/.dev ## a Kubernetes control plane of your own, without nodes; the last line printed sets KUBECONFIG
	@$(BIN)/python -m tests.cluster up

cluster-e2e: $(VENV)/.dev ## a whole cluster with a cloud node and an edge node, as root; the last line printed sets KUBECONFIG
	@$(BIN)/python -m tests.cluster packages
	@$(BIN)/python -m tests.cluster up --nodes

cluster-down: $(VENV)/.dev ## end either
	@$(BIN)/python -m tests.cluster down

kubernetes-binaries: $(VENV)/.dev ## what clusters run: from KUBEBUILDER_ASSETS or built once with Go (about 12 minutes)
	@$(BIN)/python -m tests.cluster binaries

bench: $(VENV)/.dev ## figures as ratios against a limit measured in the same run
	@$(BIN)/python -m tests.bench

images: ## the three container images, with docker, podman or buildah; ENGINE=... to choose
	@test -n '$(ENGINE)' || { echo "no docker that answers, no podman, no buildah: install one of them"; exit 1; }
	@for image in $(IMAGES); do \
	  BUILDAH_LAYERS=true $(ENGINE) build --file deploy/Dockerfile --target $$image --tag sedna-py/$$image:$(VERSION) . || exit 1; \
	done

crds: $(VENV)/.dev ## write the CustomResourceDefinitions that are made from sedna_py/api
	@$(BIN)/python -m controller.crd_files

docs: $(VENV)/.dev ## write the pages that are made from the code
	@$(BIN)/python -m workers.settings_table > docs/settings.md
	@$(BIN)/python -m controller.settings_table > docs/controller-settings.md

format: $(VENV)/.dev ## let ruff rewrite the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove what the other targets made here (the download cache is left alone)
	rm -rf $(VENV) $(OUT) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
