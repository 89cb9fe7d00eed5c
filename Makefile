# Finlink's commands. `make run` and `make test` install what they need into .venv on their own.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests need makes a worker larger, and is nothing that an operator has.
BENCH_VENV := .data/bench/venv
BENCH := $(BENCH_VENV)/bin/python -m bench
.PHONY: help run test coverage test-identity test-motor test-slow test-chaos test-topology test-security test-clients test-openapi test-pages test-readme bench bench-growth bench-soak bench-overhead bench-identity lint audit format hooks protos openapi clients dist console lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp protos ## Start all of Finlink: REST on port 3000, gRPC on port 50051
	@exec $(BIN)/python -m server run

test: $(VENV)/dev.stamp protos ## Run all tests against a real MongoDB and a real Envoy
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/dev.stamp protos ## The same, a third slower, and tell which lines no test runs; below 90 % it fails
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 3 --dist loadfile --no-loadscope-reorder
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-identity: $(VENV)/dev.stamp protos ## Run all of identity at full length: races, a day of wrong passwords, real providers
	$(BIN)/pytest -n 3 --dist loadfile --full -k 'not motor' tests/domains/identity tests/delivery \
	  tests/e2e/test_identity_*.py tests/e2e/test_external_*.py tests/e2e/test_factors*.py tests/e2e/test_second_factor_*.py \
	  tests/e2e/test_reauthentication.py tests/e2e/test_former_numbers.py tests/e2e/test_remove_user_mfa.py

test-motor: $(VENV)/dev.stamp protos ## Run what reads and writes MongoDB with Motor as its driver; about 5 minutes
	$(BIN)/pytest -n 3 --dist loadfile -k motor --full tests/domains/audit tests/cache tests/domains/connectors tests/jobs tests/storage tests/streaming tests/domains/users

test-slow: $(VENV)/dev.stamp protos ## Run what make test leaves out to be short, but for the suites with targets of their own; about 3 minutes
	$(BIN)/pytest -n 3 --dist loadfile -m full_only --full tests --ignore tests/chaos --ignore tests/topology \
	  --ignore tests/security_long --ignore tests/repository --ignore tests/openapi --ignore tests/pages --ignore-glob 'tests/clients/test_other_*'

test-chaos: $(VENV)/dev.stamp protos ## Race, kill and freeze Finlink at full length, about 12 minutes
	$(BIN)/pytest tests/chaos --full

test-topology: $(VENV)/dev.stamp protos ## Kill and restart each process of a topology, restore backups, paste the operations guide; about 12 minutes
	$(BIN)/pytest tests/topology --full

test-security: $(VENV)/dev.stamp protos ## Attack Finlink at full length, about 10 minutes
	$(BIN)/pytest tests/security_long --full

test-clients: $(VENV)/dev.stamp protos ## Run the clients of all languages through all scenarios, about 5 minutes
	@$(BIN)/python -m codegen.clients --where-possible
	$(BIN)/pytest -n 2 --dist loadfile tests/clients/test_scenarios.py tests/clients/test_other_*.py tests/clients/test_login_examples.py tests/clients/test_dist.py --full

test-openapi: $(VENV)/dev.stamp protos ## Hold docs/openapi.yaml against a running Finlink with Schemathesis, over 10,000 calls, and with clients made of it
	$(BIN)/pytest tests/openapi/test_generated_clients.py tests/openapi/test_schemathesis.py --full

test-pages: $(VENV)/dev.stamp protos ## Use the pages that Finlink serves in a real Chromium
	$(BIN)/pytest tests/pages --full

test-readme: $(VENV)/dev.stamp protos ## Paste README and the guides for contributors into a fresh clone and build their examples, about 6 minutes
	$(BIN)/pytest tests/repository --full

bench: $(BENCH_VENV)/stamp protos ## Compare Finlink with Express and FastAPI; needs wrk, h2load, node, Go
	$(BENCH) run --out .data/bench/results/run.json
	$(BENCH) report

bench-growth: $(BENCH_VENV)/stamp protos ## Measure calls and syncs over 10^3 to 10^6 users and connectors
	$(BENCH) growth --out .data/bench/results/growth.json
	$(BENCH) report

bench-soak: $(BENCH_VENV)/stamp protos ## Mixed load, then 10 minutes of full load: response times and memory
	$(BENCH) soak --out .data/bench/results/soak.json
	$(BENCH) report

bench-overhead: $(BENCH_VENV)/stamp protos ## Measure what logs, metrics and traces cost
	$(BENCH) overhead --out .data/bench/results/overhead.json
	$(BENCH) report

bench-identity: $(BENCH_VENV)/stamp protos ## Measure signing in, and calls with tokens, over 10^6 users and sessions
	$(BENCH) identity --out .data/bench/results/identity.json

lint: $(VENV)/dev.stamp protos ## Check style, types, layers and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint gen/finlink.binpb --path finlink
	@$(BIN)/python -m codegen.released
	$(BIN)/buf breaking gen/finlink.binpb --against gen/released.binpb --path finlink
	$(BIN)/buf format --diff --exit-code protos

audit: $(VENV)/dev.stamp ## Look up known vulnerabilities of what is pinned; without the network it says so
	$(BIN)/python requirements/audit.py

format: $(VENV)/dev.stamp ## Format the code and the contract
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format --write protos

hooks: $(VENV)/dev.stamp ## Have git check what is committed and pushed
	$(BIN)/pre-commit install

protos: $(VENV)/run.stamp ## Generate stubs and descriptor sets
	@$(BIN)/python -m codegen.stubs

openapi: $(VENV)/run.stamp protos ## Write docs/openapi.yaml again from the contract
	@$(BIN)/python -m openapi
	@$(BIN)/python -m codegen.stubs

clients: $(VENV)/run.stamp protos ## Generate and build the TypeScript and Go clients; needs node, npm, Go
	@$(BIN)/python -m codegen.clients

dist: $(VENV)/run.stamp protos ## Pack the clients into dist/: a wheel, an npm package, a Go module
	@$(BIN)/python -m codegen.dist

console: ## Build the operators' console, served at /console; needs node 20.19 or newer, npm
	@command -v npm >/dev/null || \
	  { echo "The console is built with Node 20.19 or newer and npm; install both (https://nodejs.org), then: make console"; exit 1; }
	cd console && npm ci --no-audit --no-fund && npm run build

lock: $(VENV)/run.stamp ## Resolve requirements/*.in into hash-pinned requirements/*.txt
	$(BIN)/pip install --quiet uv
	for name in run dev bench; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  requirements/$$name.in --output-file requirements/$$name.txt || exit 1; done
	for folder in bench/peers/fastapi tests/openapi/generators/openapi_python_client tests/openapi/generators/openapi_generator; do \
	  (cd $$folder && $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  requirements.in --output-file requirements.txt) || exit 1; done

clean: ## Remove what was installed and generated; data under .data stays
	rm -rf $(VENV) dist gen clients/python/src/finlink clients/python/src/finlink_words clients/python/src/finlink_client/gen clients/python/src/buf
	rm -rf console/dist console/node_modules clients/typescript/build clients/typescript/node_modules clients/typescript/src/gen clients/go/finlink/*/ clients/go/finlink/services.go

$(VENV)/run.stamp: requirements/run.txt clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Finlink needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what Finlink needs into $(VENV) (the first time takes a minute or two)"
	@$(BIN)/python requirements/install.py run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e clients/python
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	@echo "Installing what the tests need into $(VENV)"
	@$(BIN)/python requirements/install.py dev.txt
	@touch $@

$(BENCH_VENV)/stamp: requirements/run.txt requirements/bench.txt clients/python/pyproject.toml
	@echo "Installing what is measured, and what draws the plots, into $(BENCH_VENV)"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python requirements/install.py run.txt bench.txt
	@$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e clients/python
	@touch $@
