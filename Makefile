# The menu. Every target sets up what it needs; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE  # the hundreds of processes that tests start would each compile all modules

.PHONY: help demo serve load test test-runs test-clients test-clients-node check bench bench-counts compiled compiled-equality soak mutants validate coverage peers docs setup system-packages clean
help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: $(READY) ## run scenarios/edge-vs-cloud.yaml and write its report
	$(BIN)/e80sim run scenarios/edge-vs-cloud.yaml

serve: $(READY) ## answer OpenAI clients on http://127.0.0.1:8080/v1
	$(BIN)/e80sim serve

load: $(READY) ## run locust against the shim and write the latency report
	$(BIN)/e80sim load --variant unlimited --duration 60

# Long runs, with no double in them: the compiled build, where there is one, takes about half as long, and answers
# the same bytes. All else runs the sources: docs/compiled.md.
LONG_RUNS := tests/theory tests/sim/plan tests/sim/study tests/sim/gate tests/sim/run/test_uncertainty.py \
	tests/sim/run/test_warm_up.py tests/sim/run/test_stopping.py tests/laws/test_worlds_agree.py \
	tests/laws/test_scenario_laws.py tests/e2e/test_engines_agree.py tests/e2e/test_interruptions.py \
	tests/e2e/test_load.py
APART := tests/benchmarks tests/clients tests/compiled
# Half as many again as there are processors: tests of servers and signals wait for much of their time.
WORKERS = $(shell $(PYTHON) -c "import os; print(3 * os.cpu_count() // 2)")
SUITE = $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not soak"

test: system-packages $(READY) ## the test suite
	E80SIM_PURE=1 $(SUITE) $(addprefix --ignore=,$(APART) $(LONG_RUNS))

test-runs: $(READY) ## and its long runs: theory, sweeps, plans, gates, load tests, interruptions
	$(SUITE) $(LONG_RUNS)

test-clients: $(READY) ## the client libraries that people use, each from an environment of its own
	$(BIN)/pytest -n 2 tests/clients/test_python_clients.py tests/clients/test_openai_client.py tests/clients/test_perfetto.py

test-clients-node: $(READY) ## and those of npm
	$(BIN)/pytest tests/clients/test_node_clients.py

check: $(READY) ## formatting, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

compiled: $(READY) ## compile the hot path again after its sources have changed: docs/compiled.md
	@tools/compiled $(BIN)/python

compiled-equality: compiled ## the compiled build against the sources: equal files
	$(BIN)/pytest -q -n auto tests/compiled

bench-counts: $(READY) ## what benchmarks assert, without the repetitions that their speeds need
	E80SIM_PURE=1 $(BIN)/pytest tests/benchmarks -q -n auto --dist worksteal --once --timeout 900

bench: $(READY) ## benchmarks: deterministic counts asserted, speeds reported
	E80SIM_PURE=1 $(BIN)/pytest tests/benchmarks -q -p no:xdist --timeout 900

soak: $(READY) ## long random runs of both kernels against each other
	$(BIN)/pytest -n auto -m soak --timeout 7200 tests

mutants: $(READY) ## break rules one by one and name what no test notices; hours; a part with ONLY='sim.platform.*'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[mutants]"
	$(BIN)/python tools/mutants.py $(if $(ONLY),'$(ONLY)')

validate: $(READY) ## hold the model against measurements; needs E80SIM_DATA, writes docs/validation.md
	$(BIN)/python -m docs.validate

coverage: $(READY) ## how often intervals hold the truth; writes its table in docs/statistics.md
	$(BIN)/python -m docs.coverage

peers: $(READY) ## measure other simulators against this one, start to exit; half an hour; writes docs/data/peers.json
	$(BIN)/python -m docs.peers $(if $(MACHINE),--machine "$(MACHINE)")
	$(BIN)/python -m docs.generate

docs: $(READY) ## rewrite the generated pages under docs/
	$(BIN)/python -m docs.generate

setup: $(READY) ## the virtual environment only

$(READY): pyproject.toml constraints.txt setup.py tools/python-venv
	tools/python-venv $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[shim,load,test,check]"
	@tools/compiled $(BIN)/python
	@touch $@

system-packages:
	@tools/system-packages chromium curl bubblewrap libseccomp2 python3

clean: ## remove the environment and caches
	rm -rf $(VENV) .clients .peers mutants build e80sim/compiled *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
