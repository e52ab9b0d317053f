"""Several processes on one folder at once: they wait for one another, and nobody's work is harmed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np

from rails_engine.retrieval import EmbeddingKind, StaticEmbedder
from rails_engine.retrieval.embedding import CachingEmbedder, SqliteStore
from rails_engine.retrieval.index import IndexSettings, Kind, make_index

PROCESSES = 3
SAVES = 15
SAVE_AGAIN_AND_AGAIN = f"""
import sys
from pathlib import Path
import numpy as np
from rails_engine.retrieval.index import IndexSettings, Kind, make_index

number = int(sys.argv[2])
index = make_index(16, 100, IndexSettings(kind=Kind.EXACT))
index.add(np.arange(100), np.full((100, 16), number, np.float32))
for _ in range({SAVES}):
    index.save(Path(sys.argv[1]), "model")
"""
EMBED_AGAIN_AND_AGAIN = """
import asyncio, logging, sys
from pathlib import Path
from rails_engine.retrieval import EmbeddingKind, StaticEmbedder
from rails_engine.retrieval.embedding import CachingEmbedder, SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]) / "vectors.sqlite", max_bytes=150_000)
    embedder = CachingEmbedder(StaticEmbedder(), store)
    for turn in range(20):
        await embedder.embed([f"sentence {(7 * turn + i) % 120}" for i in range(40)], EmbeddingKind.QUERY)
    store.close()

logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
"""


def run_together(program: str, folder: Path) -> list[str]:
    """What each of some processes wrote to its error stream; all must end well."""
    started = [
        subprocess.Popen(  # noqa: S603 -- a fixed program of ours
            [sys.executable, "-c", program, str(folder), str(number)], stderr=subprocess.PIPE, text=True
        )
        for number in range(PROCESSES)
    ]
    told = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES, told
    return told


def test_an_index_saved_by_several_processes_is_wholly_one_of_theirs(tmp_path: Path) -> None:
    run_together(SAVE_AGAIN_AND_AGAIN, tmp_path)
    index = make_index(16, 100, IndexSettings(kind=Kind.EXACT))
    index.load(tmp_path, "model")
    scores = index.search(np.eye(1, 16, dtype=np.float32), 100)[1]
    assert len(index) == 100
    assert len(set(scores[0].tolist())) == 1
    assert len(list(tmp_path.iterdir())) == 4  # manifest, ids, vectors, lock


async def test_an_embedding_cache_shared_by_processes_gives_what_the_model_does(tmp_path: Path) -> None:
    assert await asyncio.to_thread(run_together, EMBED_AGAIN_AND_AGAIN, tmp_path) == [""] * PROCESSES
    store, texts = SqliteStore(tmp_path / "vectors.sqlite"), [f"sentence {i}" for i in range(120)]
    embedder = StaticEmbedder()
    cached = await CachingEmbedder(embedder, store).embed(texts, EmbeddingKind.QUERY)
    store.close()
    assert (cached == await embedder.embed(texts, EmbeddingKind.QUERY)).all()
