"""The cache that users' own search providers are written with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemoguardrails.embeddings.cache import (
    CacheStore,
    EmbeddingsCache,
    EmbeddingsCacheConfig,
    FilesystemCacheStore,
    KeyGenerator,
    MD5KeyGenerator,
    cache_embeddings,
)


class Index:
    """Computes a vector from the length of a text, and remembers what it was asked."""

    def __init__(self, cache_config: EmbeddingsCacheConfig | None) -> None:
        self.cache_config = cache_config
        self.asked: list[list[str]] = []

    @cache_embeddings
    async def vectors(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(list(texts))
        return [[float(len(text))] for text in texts]


@pytest.mark.parametrize("store", ["in_memory", "filesystem"])
async def test_only_new_texts_are_computed(store: str, tmp_path: Path) -> None:
    settings = {"cache_dir": str(tmp_path)} if store == "filesystem" else {}
    index = Index(EmbeddingsCacheConfig(enabled=True, store=store, store_config=settings))
    assert await index.vectors(["a", "bb"]) == [[1.0], [2.0]]
    assert await index.vectors(["bb", "ccc", "a"]) == [[2.0], [3.0], [1.0]]
    assert await index.vectors([]) == []
    assert index.asked == [["a", "bb"], ["ccc"]]


@pytest.mark.parametrize("config", [None, EmbeddingsCacheConfig(enabled=False)])
async def test_without_an_enabled_cache_everything_is_computed(config: Any) -> None:
    index = Index(config)
    await index.vectors(["a"])
    await index.vectors(["a"])
    assert index.asked == [["a"], ["a"]]


async def test_two_indexes_share_files_and_no_memory(tmp_path: Path) -> None:
    files = EmbeddingsCacheConfig(enabled=True, store_config={"cache_dir": str(tmp_path)})
    first, second = Index(files), Index(files)
    await first.vectors(["a"])
    assert await second.vectors(["a"]) == [[1.0]]
    assert second.asked == []
    third, fourth = (Index(EmbeddingsCacheConfig(enabled=True, store="in_memory")) for _ in range(2))
    await third.vectors(["a"])
    await fourth.vectors(["a"])
    assert fourth.asked == [["a"]]


def test_a_cache_knows_the_section_that_makes_it(tmp_path: Path) -> None:
    section = {"key_generator": "md5", "store": "filesystem", "store_config": {"cache_dir": str(tmp_path)}}
    cache = EmbeddingsCache.from_dict(section)
    cache.set(["x", "y"], [[1.0], [2.0]])
    assert cache.get(["x", "q", "y"]) == {"x": [1.0], "y": [2.0]}
    assert EmbeddingsCache.from_config(cache.get_config()).get("x") == [1.0]
    assert cache.get_config().to_dict() == {"enabled": False, **section}
    cache.clear()
    assert (cache.get("x"), cache.get(["x"])) == (None, {})


@pytest.mark.parametrize(("kind", "name"), [(KeyGenerator, "nope"), (CacheStore, "nope")])
def test_an_unknown_name_is_refused_with_those_that_are_known(kind: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"no {kind.__name__} named 'nope'; known are .*(sha256|in_memory)"):
        kind.from_name(name)


def test_a_store_of_ones_own_is_found_by_its_name() -> None:
    class Cellar(CacheStore):
        name = "cellar"

        def get(self, key: str) -> Any:
            return key

        def set(self, key: str, value: Any) -> None:
            raise NotImplementedError

        def clear(self) -> None:
            raise NotImplementedError

    assert CacheStore.from_name("cellar") is Cellar
    key = EmbeddingsCache(MD5KeyGenerator(), Cellar()).get("abc")
    assert key == "900150983cd24fb0d6963f7d28e17f72"


@pytest.mark.parametrize("key", ["../x", "a/b", "", "."])
def test_a_key_never_leaves_the_folder(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        FilesystemCacheStore(str(tmp_path)).set(key, [1.0])
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        FilesystemCacheStore(str(tmp_path)).get(key)


def test_a_file_that_was_not_written_whole_is_written_again(tmp_path: Path) -> None:
    store = FilesystemCacheStore(str(tmp_path))
    (tmp_path / "key").write_text("[1.0, 2")
    assert store.get("key") is None
    store.set("key", [1.0, 2.0])
    assert (store.get("key"), [path.name for path in tmp_path.iterdir()]) == ([1.0, 2.0], ["key"])
