# Two commands matter: `make demo` and `make test`. Each sets up all it needs under .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BUILD := build

# The first interpreter from 3.11 to 3.13 wins; PYTHON=/path/to/python overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Egress Sentinel needs Python 3.11, 3.12 or 3.13, and none was found; set PYTHON=/path/to/python" >&2; exit 2; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing Egress Sentinel and what it needs (about a minute, once)"
	@$(PIP) --editable . && touch $@

$(VENV)/.installed-local: pyproject.toml | $(BIN)/python
	@echo "installing Egress Sentinel and the local AWS (about a minute, once)"
	@$(PIP) --editable '.[local]' && touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "installing Egress Sentinel, its tests and its linters (about a minute, once)"
	@$(PIP) --editable '.[test,lint]' && touch $@ $(VENV)/.installed $(VENV)/.installed-local

$(VENV)/.installed-bench: pyproject.toml $(VENV)/.installed
	@echo "installing the rivals of the benchmark (once)"
	@$(PIP) --editable '.[bench]' && touch $@

$(VENV)/.installed-mutation: pyproject.toml $(VENV)/.installed-test
	@echo "installing mutmut (once)"
	@$(PIP) --editable '.[mutation]' && touch $@

.PHONY: demo
demo: $(VENV)/.installed ## a made-up bill with known incidents, all the way to alerts and an HTML report
	@$(BIN)/egress-sentinel demo --output-dir demo-output

.PHONY: test
test: $(VENV)/.installed-test ## the tests without the slow ones, in three processes side by side
	@$(BIN)/python -m tests

.PHONY: test-fast
test-fast: $(VENV)/.installed-test ## the tests that start no Terraform, no local AWS, no Spark, no browser
	@$(BIN)/python -m tests -m 'not slow and not integration'

.PHONY: test-all
test-all: $(VENV)/.installed-test ## the whole test suite, as CI runs it
	@$(BIN)/python -m tests -m ''

.PHONY: mutation
mutation: $(VENV)/.installed-mutation ## changes egress_alerts in thousands of ways and lists those that no test of it notices
	@rm -rf $(BUILD)/mutation && mkdir -p $(BUILD)/mutation/src $(BUILD)/mutation/tests
	@cp -R ml_models/egress_alerts $(BUILD)/mutation/src
	@cp -R tests/__init__.py tests/support tests/egress_alerts $(BUILD)/mutation/tests
	@cp tests/mutation.cfg $(BUILD)/mutation/setup.cfg
	@cd $(BUILD)/mutation && $(CURDIR)/$(BIN)/mutmut run --max-children 1 && $(CURDIR)/$(BIN)/mutmut results

.PHONY: simulate
simulate: $(VENV)/.installed-test ## 10,000 worlds of the detector: deliveries, crashes, lost replies, duplicates, by a seed
	@$(BIN)/python -m tests.simulation --worlds 10000

BODIES ?= 50000

.PHONY: fuzz
fuzz: $(VENV)/.installed-test ## 50,000 request bodies against the endpoint's code and an independent oracle
	@$(BIN)/python -W error -m tests.anomaly_detection.fuzz --bodies $(BODIES)

.PHONY: lint
lint: $(VENV)/.installed-test ## ruff, mypy --strict and the rules on who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: package
package: $(VENV)/.installed ## build/: what Terraform deploys (the Lambda's zips, a starting model) and the training job's source
	@$(BIN)/python lambdas/build.py $(BUILD)
	@$(BIN)/python -m egress_features.engines.athena $(BUILD)/athena
	@$(BIN)/python -m egress_features.flow_logs.athena $(BUILD)/athena_flow_logs
	@$(BIN)/python -m egress_sentinel.deployment.source_bundle $(BUILD)/sourcedir.tar.gz
	@$(BIN)/python -m egress_sentinel.pipeline.starting_model $(BUILD)/model.tar.gz

.PHONY: dist
dist: package ## dist/: a release: the command line's wheel, the Terraform module with all that it deploys, and checksums
	@rm -f dist/*.whl
	@SOURCE_DATE_EPOCH=315532800 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
		--wheel-dir dist $(BUILD)/image_source.zip
	@$(BIN)/python -m egress_sentinel.deployment.release . $(BUILD) dist

EXAMPLE ?= serverless
APPLY := terraform -chdir=terraform/examples/$(EXAMPLE)

.PHONY: deploy
deploy: package ## apply terraform/examples/serverless (or EXAMPLE=NAME) in your AWS account; asks first unless CONFIRM=yes
	@$(APPLY) init -input=false
	@$(APPLY) apply $(if $(filter yes,$(CONFIRM)),-auto-approve -input=false)

.PHONY: destroy
destroy: ## destroy what `make deploy` created, with its data; lists it and asks first unless CONFIRM=yes
	@CONFIRM=$(CONFIRM) terraform/destroy.sh terraform/examples/$(EXAMPLE)

LOCAL_PORT ?= 4577

.PHONY: local
local: $(VENV)/.installed-local package ## an AWS on this machine for terraform/examples/serverless, until Ctrl-C
	@$(BIN)/egress-sentinel local up --port $(LOCAL_PORT) --terraform-dir terraform/examples/serverless

SAMPLE_DIR ?= terraform/examples/serverless

.PHONY: sample
sample: $(VENV)/.installed-local ## drops the sample CSV into the bucket of what `make local` and `terraform apply` deployed, and shows its scores
	@AWS_ENDPOINT_URL=http://127.0.0.1:$(LOCAL_PORT) AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 \
		$(BIN)/egress-sentinel batch terraform/examples/batch/sample.csv --terraform-dir $(SAMPLE_DIR) --show 8 -o sample-output

.PHONY: pictures
pictures: $(VENV)/.installed-test ## docs/images: the README's pictures of the report and of an alert, from a run of the demo
	@$(BIN)/python -m tests.support.docs_images docs/images

.PHONY: bench
bench: $(VENV)/.installed ## the demo's incidents against a tutorial's Isolation Forest, over several seeds
	@$(BIN)/python benchmarks/tutorial_forest.py

.PHONY: bench-incidents
bench-incidents: $(VENV)/.installed-bench ## labelled incidents in generated bills: Egress Sentinel and its rivals, tuned alike
	@$(BIN)/python -m benchmarks.incidents

.PHONY: benchmark-data
benchmark-data: $(VENV)/.installed ## build/egress-incidents-VERSION: the benchmark's labelled bills and their truth, as a data set for others
	@$(BIN)/python -m benchmarks.incidents data $(BUILD)

.PHONY: bench-speed
bench-speed: $(VENV)/.installed ## requests, scoring and cold start against a tutorial's handler, in their quick sizes
	@for part in serving scoring cold_start; do $(BIN)/python -m benchmarks.speed.$$part --quick || exit; done

.PHONY: bench-drift
bench-drift: $(VENV)/.installed ## false alarms of the drift monitor over 90 quiet days, and days to notice injected drifts
	@$(BIN)/python -m benchmarks.drift

.PHONY: clean
clean: ## remove what the other commands made
	@rm -rf $(VENV) $(BUILD) dist demo-output sample-output egress-sentinel-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find ml_models -name '*.egg-info' -type d -prune -exec rm -rf {} +
