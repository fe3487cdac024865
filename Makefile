# Two commands set up a fresh machine: `make run` (the main job) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := .tools/bin
DOWNSTREAM := .venv-downstream
# How many processes run the tests. More than there are cores make the tests that look at a clock feel each other.
WORKERS ?= auto
TOXIPROXY_VERSION := v2.12.0
GRPCURL_VERSION := v1.9.3

.PHONY: run rerun voice load downstream test retest test-slow check format lint types floors bench toxiproxy browser turn grpcurl protos docs subjects lock clean help
.DELETE_ON_ERROR:

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## run every scenario: the main job
	$(BIN)/rpe run scenarios

rerun: $(STAMP) ## run again the scenarios that did not pass
	$(BIN)/rpe run scenarios --last-failed

voice: $(STAMP) ## speech to segments to words to speech, over three organisations on three wires
	$(BIN)/python -m examples.voice --out runs/answer.wav

load: $(STAMP) ## a pool under faults, loaded by Locust's master and two workers on loopback; the report stays in runs/load
	$(BIN)/rpe load loadtests/pool-under-faults.yaml --out runs/load

downstream: $(STAMP) ## a project that uses the fakes, from the built wheel, in an environment of its own
	rm -rf dist/downstream
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist/downstream .
	@test -x $(DOWNSTREAM)/bin/python || $(PYTHON) -m venv $(DOWNSTREAM)
	$(DOWNSTREAM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/downstream.txt
	$(DOWNSTREAM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/downstream/rpe-*.whl
	cd examples/downstream && ../../$(DOWNSTREAM)/bin/python -m pytest -n 2 -p no:cacheprovider

test: $(STAMP) toxiproxy browser turn grpcurl ## every test but the slow ones; also against a real Toxiproxy, browser and TURN server where they can be had
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 -m "not slow"

retest: $(STAMP) ## run again the tests that failed
	$(BIN)/python -m pytest --last-failed -m "not slow"

test-slow: $(STAMP) toxiproxy ## the slow and exploratory tests
	$(BIN)/python -m pytest -m slow

check: $(STAMP) format lint types floors test ## what CI runs: format, lint, types, import floors, tests

format: $(STAMP) ## is everything formatted? (`ruff format .` mends it)
	$(BIN)/ruff format --check .

lint: $(STAMP) ## static checks
	$(BIN)/ruff check .

types: $(STAMP) ## strict types
	$(BIN)/mypy

floors: $(STAMP) ## imports go down only
	$(BIN)/lint-imports

bench: $(STAMP) toxiproxy ## the figures, each beside what a user would pick instead
	$(BIN)/python -m benchmarks

toxiproxy: ## a real Toxiproxy in .tools/bin, where Go is installed
	@if test -x $(TOOLS)/toxiproxy-server; then :; \
	elif command -v go >/dev/null 2>&1; then \
	  mkdir -p $(TOOLS) && \
	  GOBIN=$(CURDIR)/$(TOOLS) go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY_VERSION) && \
	  mv $(TOOLS)/server $(TOOLS)/toxiproxy-server && \
	  GOBIN=$(CURDIR)/$(TOOLS) go install github.com/Shopify/toxiproxy/v2/cmd/cli@$(TOXIPROXY_VERSION) && \
	  mv $(TOOLS)/cli $(TOOLS)/toxiproxy-cli; \
	else echo "Go is not installed: tests against a real Toxiproxy will be skipped"; fi

grpcurl: ## the program grpcurl in .tools/bin, where Go is installed
	@if test -x $(TOOLS)/grpcurl; then :; \
	elif command -v go >/dev/null 2>&1; then \
	  mkdir -p $(TOOLS) && GOBIN=$(CURDIR)/$(TOOLS) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION); \
	else echo "Go is not installed: tests that need grpcurl will be skipped"; fi

# Installs a Debian package for a test that needs its program, where that can be done without asking.
define debian
@if command -v $(1) >/dev/null 2>&1; then :; \
elif command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null \
  || echo "$(2) could not be installed: tests that need it will be skipped"; \
else echo "$(2) is not installed (apt-get install $(2)): tests that need it will be skipped"; fi
endef

browser: ## Chromium, for the test of a real browser, where Debian packages can be installed
	$(call debian,chromium,chromium)

turn: ## the TURN server coturn, for the test of relayed peers, where Debian packages can be installed
	$(call debian,turnserver,coturn)

protos: $(STAMP) ## generate the stubs again from protos/
	$(BIN)/python protos/generate.py

subjects: $(STAMP) ## run the suite with each client in the box, and write the verdict table
	$(BIN)/python docs/compare_subjects.py

docs: $(STAMP) ## write the parts of docs/ that the code knows
	$(BIN)/python docs/generate.py

lock: ## pin the newest versions for development and CI (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade --quiet -o requirements/dev.txt
	uv pip compile pyproject.toml requirements/downstream.in --extra chaos -c requirements/dev.txt --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	  -o requirements/downstream.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) $(DOWNSTREAM) .tools runs dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
