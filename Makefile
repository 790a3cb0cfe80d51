# Everything runs in .venv, made on first use from the requirements files; nothing else is needed
# than Python 3.11 with venv and pip. Type `make` to see what there is.

PYTHON ?= python3
MAZE ?= medium
EPISODES ?= 5
SEED ?= 0
DEMO_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# A stamp's name is a checksum of what its environment was made from, this folder included. Other
# content, other name: the environment is brought up to date.
checksum = $(shell { pwd; cat setup.py setup.cfg pyproject.toml $(1); } | cksum | cut -d ' ' -f 1)
RUN_FILES := requirements.txt requirements-ros.txt
TEST_FILES := $(RUN_FILES) requirements-test.txt
RUN_STAMP := $(VENV)/.run-$(call checksum,$(RUN_FILES))
TEST_STAMP := $(VENV)/.test-$(call checksum,$(TEST_FILES))

# The wheels bring their own ROS 2; one that is sourced in this shell must not mix with it.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH RMW_IMPLEMENTATION
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
ifdef AMENT_PREFIX_PATH
unexport LD_LIBRARY_PATH
endif
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.DEFAULT_GOAL := help
.PHONY: help setup demo check test lint train evaluate bench soak clean distclean

# Recipes that run for long replace their shell (exec), so that a signal reaches the program itself.

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: MAZE=$(MAZE) EPISODES=$(EPISODES) SEED=$(SEED) PYTHON=$(PYTHON) DEMO_ARGS= PYTEST_ARGS= BENCH_ARGS= SOAK_ARGS='

demo: $(RUN_STAMP)  ## drive MAZE for EPISODES episodes over ROS 2 topics and score it
	@exec $(BIN)/df_planner demo --maze $(MAZE) --episodes $(EPISODES) --seed $(SEED) $(DEMO_ARGS)

check: $(TEST_STAMP)  ## lint, types, architecture and unit tests, without DDS or training: a minute
	@exec $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not dds and not long and not slow' \
	  --durations=0 --durations-min=3 $(PYTEST_ARGS)

test: $(TEST_STAMP)  ## run all tests, linters included (PYTEST_ARGS='-k maze' for some)
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

lint: $(TEST_STAMP)  ## run the linters only
	@exec $(BIN)/python -m pytest tests/test_lint.py

train: $(RUN_STAMP)  ## generate a log of the large maze, unless it is there, and train `point` on it
	@test -e data/maze2d-large.hdf5 || $(BIN)/df_planner data generate --maze large --num-steps 2000000
	@exec $(BIN)/df_planner train --config point

evaluate: $(RUN_STAMP)  ## score the trained model, or else the shipped one, in MAZE on EPISODES seeded starts
	@model=runs/models/point; test -e $$model.safetensors || model=point; \
	echo "Scoring $$model"; \
	exec $(BIN)/df_planner evaluate --checkpoint $$model --maze $(MAZE) \
	  --episodes $(EPISODES) --seed $(SEED) --out results/evaluate-$(MAZE)

bench: $(RUN_STAMP)  ## time plans on the large maze beside a slow reference sampler (BENCH_ARGS='--plans 5')
	@echo 'What time buys, score against latency, takes longer: $(BIN)/df_planner benchmark latency'
	@exec $(BIN)/df_planner measure latency --checkpoint point --maze large --out results/bench $(BENCH_ARGS)

soak: $(RUN_STAMP)  ## drive for an hour with bad inputs and kills, watched (SOAK_ARGS='--minutes 3')
	@exec $(BIN)/df_planner measure soak --minutes 60 $(SOAK_ARGS)

setup: $(RUN_STAMP)  ## make the environment and install the package, without running anything

clean:  ## remove what colcon and the tests left behind (not results/, runs/, data/)
	rm -rf build install log .pytest_cache *.egg-info
	find df_planner launch tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## also remove the environment
	rm -rf $(VENV)

# An installation that was cut short leaves its mark, and the next one starts from nothing; so it
# does after this folder was moved, because an environment has its path in every script.
$(RUN_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "df_planner needs Python 3.11, and '$(PYTHON)' is not: $$($(PYTHON) --version 2>&1 | head -n 1)" >&2; \
	  echo 'Name one that is, for example: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@if [ -e $(VENV)/.installing ] || ! $(PIP) --version >/dev/null 2>&1 \
	  || ! grep -q ' $(CURDIR)/$(VENV)$$' $(VENV)/pyvenv.cfg; then rm -rf $(VENV); fi
	@echo 'Setting up $(VENV) (once; a minute or two)'
	@[ -d $(VENV) ] || $(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/.run-* $(VENV)/.test-*; touch $(VENV)/.installing
	@$(PIP) install -qq $(addprefix -r ,$(RUN_FILES))
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@rm $(VENV)/.installing; touch $@

$(TEST_STAMP): $(RUN_STAMP)
	@echo 'Adding what the tests need to $(VENV)'
	@rm -f $(VENV)/.test-*; touch $(VENV)/.installing
	@$(PIP) install -qq $(addprefix -r ,$(TEST_FILES))
	@rm $(VENV)/.installing; touch $@
