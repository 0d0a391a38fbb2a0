PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install test test-models lint bench docs

install: $(BIN)/curate  ## an environment with everything the tests need

$(BIN)/curate: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

test: install  ## the core suite, under 5 minutes on 2 cores
	$(BIN)/pytest -n 2

test-models: $(VENV)-models/bin/curate  ## what needs torch, TRL and vLLM's engine for CPUs, under 15 minutes on 2 cores
	$(VENV)-models/bin/pytest tests/real_models

$(VENV)-models/bin/curate: tests/real_models/requirements.lock
	$(PYTHON) -m venv $(VENV)-models
	$(VENV)-models/bin/pip install --quiet "$$(grep -o '^torch==[0-9.]*' $<)"
	grep -v '^torch==' $< > $(VENV)-models/rest.txt
	$(VENV)-models/bin/pip install --quiet --no-deps --requirement $(VENV)-models/rest.txt
	$(VENV)-models/bin/pip install --quiet --no-deps --editable .
	touch $@

lint: install  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install  ## figures of docs/costs.md
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/near_duplicates.py
	$(BIN)/python benchmarks/row_filters.py

docs: install  ## docs/commands.md and the picture of the README from the commands themselves
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_picture.py
	$(BIN)/python docs/make_report_picture.py
