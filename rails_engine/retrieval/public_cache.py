"""A cache of embeddings for users' own search providers: a key for each text, a store of vectors, and the two as one.

Searches of our own keep theirs through `embedding.cache`. Names and results are public: users subclass `KeyGenerator`
and `CacheStore`, and put `cache_embeddings` on the method of their index that computes vectors.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from rails_engine.retrieval.errors import EmbeddingConfigError

if TYPE_CHECKING:
    from rails_engine.config.schema import EmbeddingsCacheConfig

Vector: TypeAlias = list[float]
Compute: TypeAlias = Callable[[Any, list[str]], Awaitable[list[Vector]]]

_HELD = "_embeddings_cache"
"""The attribute in which a decorated method's object keeps its cache."""


class UnusableNameError(EmbeddingConfigError, ValueError):
    """A name that stands for nothing, or may not be one."""


class _Named:
    """Subclasses are found by their `name` once they are imported."""

    name: str = ""

    @classmethod
    def from_name(cls, name: str) -> type[Self]:
        """The subclass of this name.

        Raises:
            UnusableNameError: there is none.
        """
        known = {each.name: each for each in cls.__subclasses__()}
        if name not in known:
            raise UnusableNameError(
                f"there is no {cls.__name__} named {name!r}; known are {', '.join(sorted(known))}"
            )
        return known[name]


class KeyGenerator(_Named, ABC):
    """Makes the key of a text."""

    @abstractmethod
    def generate_key(self, text: str) -> str:
        """The key under which the vector of `text` is kept."""


class HashKeyGenerator(KeyGenerator):
    """Python's own hash: for stores that end with the process."""

    name = "hash"

    def generate_key(self, text: str) -> str:
        return str(hash(text))


class MD5KeyGenerator(KeyGenerator):
    name = "md5"

    def generate_key(self, text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class SHA256KeyGenerator(KeyGenerator):
    name = "sha256"

    def generate_key(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()


class CacheStore(_Named, ABC):
    """Keeps values under keys; it may forget them at any time."""

    @abstractmethod
    def get(self, key: str) -> Any:
        """The value, or None."""

    @abstractmethod
    def set(self, key: str, value: Any) -> None:
        """Keep a value that JSON can hold."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all."""


class InMemoryCacheStore(CacheStore):
    """Without a bound: whoever makes one sees to its size."""

    name = "in_memory"

    def __init__(self) -> None:
        self._cache: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._cache.get(key)

    def set(self, key: str, value: Any) -> None:
        self._cache[key] = value

    def clear(self) -> None:
        self._cache.clear()


class FilesystemCacheStore(CacheStore):
    """A JSON file for each key, in `cache_dir` (`.cache/embeddings` unless told)."""

    name = "filesystem"

    def __init__(self, cache_dir: str | None = None) -> None:
        self._cache_dir = Path(cache_dir or ".cache/embeddings")
        self._cache_dir.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Any:
        path = self._path(key)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None  # what `set` has not written whole is computed anew, and replaced

    def set(self, key: str, value: Any) -> None:
        path, text = self._path(key), json.dumps(value)
        with NamedTemporaryFile("w", dir=self._cache_dir, encoding="utf-8", delete=False) as fresh:
            unfinished = Path(fresh.name)
            try:
                fresh.write(text)
                fresh.close()
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)

    def clear(self) -> None:
        for path in self._cache_dir.iterdir():
            if path.is_file():
                path.unlink()

    def _path(self, key: str) -> Path:
        if not key or Path(key).name != key:
            raise UnusableNameError(f"{key!r} cannot be the name of a file; use a key generator that hashes")
        return self._cache_dir / key


class RedisCacheStore(CacheStore):
    """Values as JSON in one database of a Redis server; `clear` empties that database."""

    name = "redis"

    def __init__(self, host: str = "localhost", port: int = 6379, db: int = 0) -> None:
        try:
            import redis
        except ImportError as error:
            raise ImportError("this store needs the redis package: pip install redis") from error
        self._redis = redis.Redis(host=host, port=port, db=db)

    def get(self, key: str) -> Any:
        found = cast("bytes | None", self._redis.get(key))
        return None if found is None else json.loads(found)

    def set(self, key: str, value: Any) -> None:
        self._redis.set(key, json.dumps(value))

    def clear(self) -> None:
        self._redis.flushdb()


class EmbeddingsCache:
    """Vectors of texts: `get` and `set` take one text, or several at once."""

    def __init__(
        self,
        key_generator: KeyGenerator,
        cache_store: CacheStore,
        store_config: Mapping[str, Any] | None = None,
    ) -> None:
        self._key_generator = key_generator
        self._cache_store = cache_store
        self._store_config = dict(store_config or {})

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """From `key_generator` and `store` by their names, and the store's own `store_config`.

        Raises:
            UnusableNameError: there is no such generator or store.
        """
        generator = KeyGenerator.from_name(d.get("key_generator", ""))()
        settings = d.get("store_config") or {}
        return cls(generator, CacheStore.from_name(d.get("store", ""))(**settings), settings)

    @classmethod
    def from_config(cls, config: EmbeddingsCacheConfig) -> Self:
        """As `from_dict`, from the section `cache` of a configuration.

        Raises:
            UnusableNameError: as `from_dict`.
        """
        return cls.from_dict(config.model_dump())

    def get_config(self) -> EmbeddingsCacheConfig:
        """The section of a configuration that makes such a cache."""
        from rails_engine.config.schema import EmbeddingsCacheConfig

        return EmbeddingsCacheConfig(
            key_generator=self._key_generator.name,
            store=self._cache_store.name,
            store_config=self._store_config,
        )

    def get(self, texts: str | list[str]) -> Any:
        """The vector of one text, or None; of several, those that are known, by their texts."""
        if isinstance(texts, str):
            return self._cache_store.get(self._key_generator.generate_key(texts))
        found = {text: self.get(text) for text in texts}
        return {text: vector for text, vector in found.items() if vector is not None}

    def set(self, texts: str | list[str], values: Any) -> None:
        """Keep the vector of one text, or the vectors of several in their order."""
        pairs = [(texts, values)] if isinstance(texts, str) else zip(texts, values, strict=True)
        for text, vector in pairs:
            self._cache_store.set(self._key_generator.generate_key(text), vector)

    def clear(self) -> None:
        """Forget all."""
        self._cache_store.clear()


def cache_embeddings(func: Compute) -> Compute:
    """Compute only what the cache of the object's `cache_config` does not have; without an enabled one, everything.

    Stores are asked in a thread: they may read files, or a server.
    """

    @wraps(func)
    async def cached(self: Any, texts: list[str]) -> list[Vector]:
        config = self.cache_config
        if config is None or not config.enabled:
            return await func(self, texts)
        cache = getattr(self, _HELD, None) or EmbeddingsCache.from_config(config)
        setattr(self, _HELD, cache)
        known: dict[str, Vector] = await asyncio.to_thread(cache.get, texts)
        missing = [text for text in texts if text not in known]
        if missing:
            vectors = await func(self, missing)
            await asyncio.to_thread(cache.set, missing, vectors)
            known |= dict(zip(missing, vectors, strict=True))
        return [known[text] for text in texts]

    return cached
