# Two commands do everything on a fresh machine with Python 3.11 or newer: `make chat` and `make test`.

CONFIG ?= configs/support_bot
PYTEST ?=
PIP = .venv/bin/python -m pip

.PHONY: chat test lint types contracts wheel conformance fuzz format report clean

chat: .venv/.installed
	@.venv/bin/nemoguardrails chat --config $(CONFIG)

test: .venv/.dev
	.venv/bin/python -m pytest $(PYTEST)

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/.dev
	.venv/bin/mypy
	.venv/bin/mypy tests/nemoguardrails/typed_program.py

contracts: .venv/.dev
	.venv/bin/python -m pytest tests/contracts

wheel: .venv/.dev
	scripts/wheel-test

conformance: .venv/.dev
	.venv/bin/python scripts/conformance.py

fuzz: .venv/.dev
	scripts/fuzz

format: .venv/.dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

report: .venv/.dev
	.venv/bin/python scripts/report.py

clean:
	rm -rf .venv build dist

.venv/.installed: pyproject.toml scripts/venv
	@scripts/venv
	@echo "Installing Interlock into .venv (once; a minute or so) ..."
	@$(PIP) install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt scripts/venv
	@scripts/venv
	@echo "Installing Interlock and its development tools into .venv (once; a few minutes) ..."
	@$(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/.installed
