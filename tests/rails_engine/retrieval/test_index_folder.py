"""The kept index of a knowledge base, through the front: what happened to it meanwhile is noticed and mended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nemoguardrails import LLMRails, RailsConfig
from rails_engine.retrieval import EmbeddingRemoteError
from tests.rails_engine.retrieval.doubles import EmbeddingServer

QUESTION = "how much does the wren weigh"
ANSWER = "The wren weighs nine grams."


def rails_over(server: EmbeddingServer, folder: Path, model: str = "m") -> LLMRails:
    """Two documents indexed in `folder` with an endpoint's vectors."""
    config = {
        "models": [
            {
                "type": "embeddings",
                "engine": "openai",
                "model": model,
                "parameters": {"base_url": server.base_url},
            }
        ],
        "docs": [
            {"format": "md", "content": f"# Wrens\n\n{ANSWER}\n"},
            {"format": "md", "content": "# Otters\n\nOtters hold hands.\n"},
        ],
        "knowledge_base": {"index_folder": str(folder)},
    }
    return LLMRails(RailsConfig.from_content(config=config))


async def best(rails: LLMRails) -> str:
    try:
        return str((await rails.kb.search_relevant_chunks(QUESTION, max_results=1))[0]["body"])
    finally:
        await rails.aclose()


def the_one(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def embedded(server: EmbeddingServer) -> list[int]:
    """How many texts each request asked for, from the last call on; alone-standing questions are 1."""
    counts = [len(request["input"]) for request in server.requests]
    server.requests.clear()
    return counts


@pytest.fixture
async def kept(server: EmbeddingServer, tmp_path: Path) -> Path:
    """A folder with the index in it."""
    assert await best(rails_over(server, tmp_path)) == ANSWER
    assert 2 in embedded(server)
    return tmp_path


async def test_an_intact_index_is_used_as_it_is(server: EmbeddingServer, kept: Path) -> None:
    assert await best(rails_over(server, kept)) == ANSWER
    assert 2 not in embedded(server)


@pytest.mark.parametrize("victim", ["vectors.*", "ids.*", "manifest.json"])
async def test_a_tampered_file_is_never_trusted(server: EmbeddingServer, kept: Path, victim: str) -> None:
    path = the_one(kept, victim)
    content = bytearray(path.read_bytes())
    content[-2] ^= 0xFF
    path.write_bytes(content)
    assert await best(rails_over(server, kept)) == ANSWER
    assert 2 in embedded(server)
    assert await best(rails_over(server, kept)) == ANSWER
    assert 2 not in embedded(server)


async def test_a_manifest_cannot_name_files_elsewhere(
    server: EmbeddingServer, kept: Path, tmp_path: Path
) -> None:
    outside = tmp_path.parent / "vectors-elsewhere"
    outside.write_bytes(the_one(kept, "vectors.*").read_bytes())
    manifest = json.loads((kept / "manifest.json").read_text())
    manifest["files"]["vectors"]["name"] = str(outside)
    (kept / "manifest.json").write_text(json.dumps(manifest))
    assert await best(rails_over(server, kept)) == ANSWER
    assert 2 in embedded(server)


async def test_another_model_gets_an_index_of_its_own(server: EmbeddingServer, kept: Path) -> None:
    assert await best(rails_over(server, kept, model="other")) == ANSWER
    assert 2 in embedded(server)


async def test_a_model_that_changed_its_length_gets_a_new_index(server: EmbeddingServer, kept: Path) -> None:
    server.dimension = 32
    assert await best(rails_over(server, kept)) == ANSWER
    assert 2 in embedded(server)


async def test_a_model_that_changes_its_length_in_the_middle_is_a_clear_error(
    server: EmbeddingServer, tmp_path: Path
) -> None:
    server.dimensions = [64, 32]
    with pytest.raises(EmbeddingRemoteError, match="vectors of length 32, where it sent 64 before"):
        await best(rails_over(server, tmp_path))


FULL_DISK = """
import asyncio, logging, resource, sys
from nemoguardrails import LLMRails, RailsConfig

documents = [{"format": "md", "content": f"# Bird {n}\\n\\nBird {n} weighs {n} grams."} for n in range(40)]
def rails_over(count):
    config = {"models": [], "docs": documents[:count], "knowledge_base": {"index_folder": sys.argv[1]}}
    return LLMRails(RailsConfig.from_content(config=config))

async def main():
    print(len(await rails_over(5).kb.search("which bird weighs 3 grams", 9)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    print((await rails_over(40).kb.search("bird 31", 1))[0].body)

logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
"""


def test_a_full_disk_costs_the_keeping_alone(tmp_path: Path) -> None:
    """The limit on a file's size stands in for the end of the disk; answers come all the same, the old index stays."""
    run = subprocess.run(  # noqa: S603 -- a fixed program of ours
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "index")], capture_output=True, text=True, check=True
    )
    assert run.stdout.split("\n") == ["5", "Bird 31 weighs 31 grams.", ""]
    assert "could not be saved" in run.stderr
    assert "the former one is intact" in run.stderr
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["count"] == 5
