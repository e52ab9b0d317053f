"""Documents are read when a configuration is loaded; what is wrong with one is said then, and an old index stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemoguardrails import LLMRails, RailsConfig
from rails_engine.errors import ConfigurationError
from rails_engine.retrieval import DocumentError, EmbeddingsIndex, IndexItem

CONFIG = """
colang_version: "1.0"
models: []
"""


def config_with(folder: Path, files: dict[str, bytes], settings: str = CONFIG) -> RailsConfig:
    (folder / "kb").mkdir(exist_ok=True)
    (folder / "config.yml").write_text(settings)
    for name, content in files.items():
        (folder / "kb" / name).write_bytes(content)
    return RailsConfig.from_path(str(folder))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("prices.pdf", b"%PDF-1.7\nnothing of the kind", "prices.pdf: the PDF is broken"),
        ("prices.txt", "Der Preis beträgt 3 €".encode("cp1252"), r"is not utf-8 text \(byte 14, line 1\)"),
        ("prices.md", "Der Preis beträgt 3 €".encode("cp1252"), "prices.md"),
        ("prices.html", b"<p>half\0a page", "is no text"),
    ],
)
def test_a_broken_document_is_named_when_the_configuration_is_loaded(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LLMRails(config_with(tmp_path, {"fine.md": b"# Fine\nAll good.", name: content}))


@pytest.mark.parametrize("name", ["log.txt", "log.md"])
def test_a_file_of_two_gigabytes_is_refused_without_reading_it(tmp_path: Path, name: str) -> None:
    config_with(tmp_path, {name: b""})
    with (tmp_path / "kb" / name).open("r+b") as stream:
        stream.truncate(2 << 30)
    with pytest.raises(ConfigurationError, match=f"(?s){name}.* MiB"):
        LLMRails(RailsConfig.from_path(str(tmp_path)))


@pytest.mark.parametrize(
    "content", [b"# A\r\n\r\nOtters swim.\r\n", "# A\n\nOtters swim.\n".encode("utf-8-sig")]
)
async def test_a_document_from_another_system_is_found_once(tmp_path: Path, content: bytes) -> None:
    rails = LLMRails(config_with(tmp_path, {"otters.md": content}))
    assert [chunk["body"] for chunk in await rails.kb.search_relevant_chunks("otters")] == ["Otters swim."]


async def test_an_empty_folder_finds_nothing(tmp_path: Path) -> None:
    rails = LLMRails(config_with(tmp_path, {}))
    await rails.build_knowledge_base()
    assert await rails.kb.search_relevant_chunks("anything") == []


async def test_indexing_tells_how_far_it_is(tmp_path: Path) -> None:
    sections = "\n\n".join(f"# Part {n}\n\n{'Words of it. ' * 40}{n}" for n in range(400))
    rails = LLMRails(config_with(tmp_path, {"all.md": sections.encode()}))
    told: list[tuple[int, int]] = []
    await rails.build_knowledge_base(lambda done, of: told.append((done, of)))
    assert len(told) > 1
    assert told[-1][0] == told[-1][1] == len(rails.kb.chunks)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


async def test_a_search_provider_may_be_registered_after_loading(tmp_path: Path) -> None:
    class Reversed(EmbeddingsIndex):
        def __init__(self, **_parameters: object) -> None:
            self.items: list[IndexItem] = []

        async def add_item(self, item: IndexItem) -> None:
            self.items.append(item)

        async def add_items(self, items: list[IndexItem]) -> None:
            self.items.extend(items)

        async def build(self) -> None:
            self.items.reverse()

        async def search(
            self, text: str, max_results: int = 20, threshold: float | None = None
        ) -> list[IndexItem]:
            return self.items[:max_results]

    settings = CONFIG + "knowledge_base: {embedding_search_provider: {name: backwards}}\n"
    rails = LLMRails(config_with(tmp_path, {"a.md": b"# A\nFirst.", "b.md": b"# B\nSecond."}, settings))
    rails.register_embedding_search_provider("backwards", Reversed)
    found = await rails.kb.search_relevant_chunks("first", max_results=1)
    assert [chunk["body"] for chunk in found] == ["Second."]


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from rails_engine.retrieval import IndexStorageError
from rails_engine.retrieval.index import IndexSettings, Kind, make_index

folder, kind = Path(sys.argv[1]), Kind(sys.argv[2])
vectors = np.random.default_rng(0).normal(size=(4000, 32)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
index = make_index(32, 4000, IndexSettings(kind=kind, device="cpu"))
index.add(np.arange(1000), vectors[:1000])
index.save(folder, "model")
index.add(np.arange(1000, 4000), vectors[1000:])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    index.save(folder, "model")
except IndexStorageError as error:
    print("refused:", error)
again = make_index(32, 4000, IndexSettings(kind=kind, device="cpu"))
again.load(folder, "model")
print("holds", len(again), sorted(path.name for path in folder.glob("*.part*")))
"""


@pytest.mark.parametrize("kind", ["exact", "flat", "hnsw"])
def test_a_disk_that_is_full_leaves_the_old_index(tmp_path: Path, kind: str) -> None:
    """The limit on a file's size stands in for the end of the disk: writing stops in the middle, as there."""
    run = subprocess.run(  # noqa: S603 -- a fixed program of ours
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "index"), kind],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "refused:" in run.stdout
    assert "the former one is intact" in run.stdout
    assert "holds 1000 []" in run.stdout


def test_the_error_says_it_is_the_configurations() -> None:
    assert issubclass(DocumentError, ConfigurationError)
