"""What loading a package drags in, measured in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.contracts.source import ROOT

HEAVY = {"torch", "faiss", "fastapi", "openai", "transformers", "langchain", "langchain_core", "app"}


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that `statement` adds to an interpreter started without site customisation."""
    program = (
        f"import sys, json; before = set(sys.modules); {statement}\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - before})))"
    )
    done = subprocess.run(  # noqa: S603 -- a fixed program of ours
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def foreign(modules: set[str]) -> set[str]:
    return modules - sys.stdlib_module_names


def test_colang_loads_lark_and_nothing_else() -> None:
    assert foreign(loaded_by("import colang")) <= {"colang"} | foreign(loaded_by("import lark"))


def test_the_public_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import nemoguardrails") & HEAVY


def test_retrieval_waits_for_something_to_search() -> None:
    assert "numpy" not in loaded_by("from nemoguardrails import LLMRails, RailsConfig")


def test_the_measure_sees_what_is_loaded() -> None:
    assert "yaml" in foreign(loaded_by("import yaml"))
