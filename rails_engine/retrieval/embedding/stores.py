"""Where cached vectors are kept: in memory, in an SQLite file, or in Redis. Keys are hex digests, values are bytes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rails_engine.config.schema import EmbeddingsCacheConfig
from rails_engine.retrieval.errors import EmbeddingConfigError

if TYPE_CHECKING:
    from redis.asyncio import Redis

DEFAULT_MAX_BYTES = 256 << 20
_VARIABLES_AT_ONCE = 500
_PATIENCE_S = 10.0
"""How long a process waits for another's file lock."""
_PAUSE_S = 0.01


class VectorStore(Protocol):
    """A bounded table of bytes. It may forget anything at any time."""

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is there of `keys`."""
        ...

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """Keep these, forgetting the longest unused where there is no more room."""
        ...

    async def clear(self) -> None:
        """Forget everything that this cache kept, and nothing else."""
        ...


class MemoryStore:
    """Least recently used goes first; at most `max_bytes` of values."""

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `VectorStore.get`."""
        found = {key: self._entries[key] for key in keys if key in self._entries}
        for key in found:
            self._entries.move_to_end(key)
        return found

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See `VectorStore.put`."""
        for key, value in entries.items():
            self._bytes += len(value) - len(self._entries.pop(key, b""))
            self._entries[key] = value
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._entries.popitem(last=False)[1])

    async def clear(self) -> None:
        """See `VectorStore.clear`."""
        self._entries.clear()
        self._bytes = 0


class SqliteStore:
    """One file, safe for several processes; the longest unused tenth goes when `max_bytes` of values are passed."""

    def __init__(self, path: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `VectorStore.get`."""
        return await asyncio.to_thread(self._get, keys)

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See `VectorStore.put`."""
        await asyncio.to_thread(self._put, entries)

    async def clear(self) -> None:
        """See `VectorStore.clear`."""
        await asyncio.to_thread(self._clear)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _get(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._lock, self._open() as connection:
            for i in range(0, len(keys), _VARIABLES_AT_ONCE):
                part = list(keys[i : i + _VARIABLES_AT_ONCE])
                marks = ",".join("?" * len(part))
                rows = connection.execute(f"SELECT key, value FROM vectors WHERE key IN ({marks})", part)  # noqa: S608 -- marks are ?
                found.update(rows.fetchall())
                connection.execute(
                    f"UPDATE vectors SET used = (SELECT max(used) + 1 FROM vectors) WHERE key IN ({marks})",  # noqa: S608 -- marks are ?
                    part,
                )
        return found

    def _put(self, entries: Mapping[str, bytes]) -> None:
        with self._lock, self._open() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (key, value, used) "
                "VALUES (?, ?, coalesce((SELECT max(used) + 1 FROM vectors), 1))",
                list(entries.items()),
            )
            (held,) = connection.execute("SELECT coalesce(sum(length(value)), 0) FROM vectors").fetchone()
            if held > self._max_bytes:
                self._shrink(connection, held)

    def _shrink(self, connection: sqlite3.Connection, held: int) -> None:
        goal = self._max_bytes * 9 // 10
        for key, size in connection.execute(
            "SELECT key, length(value) FROM vectors ORDER BY used"
        ).fetchall():
            if held <= goal:
                break
            connection.execute("DELETE FROM vectors WHERE key = ?", (key,))
            held -= size

    def _clear(self) -> None:
        with self._lock, self._open() as connection:
            connection.execute("DELETE FROM vectors")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=_PATIENCE_S, check_same_thread=False)
            _keep_a_log(connection)
            connection.execute("PRAGMA synchronous = OFF")  # a lost cache costs time, not data
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL)"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS by_use ON vectors (used)")
            self._connection = connection
        return self._connection


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Write ahead, so that processes read beside one that writes.

    SQLite asks nobody to wait where two change a new file to this at once: one of them is refused, and tries again.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


class RedisStore:
    """Redis, under a prefix of our own. Entries expire; the server's `maxmemory` bounds the bytes."""

    def __init__(self, url: str, prefix: str = "interlock:embedding:", ttl_s: int = 30 * 86_400) -> None:
        self._url = url
        self._prefix = prefix
        self._ttl_s = ttl_s

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `VectorStore.get`."""
        async with self._client() as client:
            values = await client.mget([self._prefix + key for key in keys])
        return {key: value for key, value in zip(keys, values, strict=True) if isinstance(value, bytes)}

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See `VectorStore.put`."""
        async with self._client() as client, client.pipeline(transaction=False) as pipeline:
            for key, value in entries.items():
                pipeline.set(self._prefix + key, value, ex=self._ttl_s)
            await pipeline.execute()

    async def clear(self) -> None:
        """See `VectorStore.clear`."""
        async with self._client() as client:
            async for key in client.scan_iter(match=f"{self._prefix}*", count=1000):
                await client.unlink(key)

    def _client(self) -> Redis:
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            raise EmbeddingConfigError(
                "the embedding cache in Redis needs the redis package: pip install 'interlock-rails[redis]'"
            ) from error
        client: Redis = Redis.from_url(self._url)
        return client


def store_for(cache: EmbeddingsCacheConfig) -> VectorStore:
    """The store of an embedding cache; `filesystem` is one SQLite file in `store_config.cache_dir`.

    Raises:
        EmbeddingConfigError: there is no such store.
    """
    settings = cache.store_config
    max_bytes = int(settings.get("max_bytes", DEFAULT_MAX_BYTES))
    if cache.store == "in_memory":
        return MemoryStore(max_bytes)
    if cache.store in ("filesystem", "sqlite"):
        return SqliteStore(Path(settings.get("cache_dir", ".cache/embeddings")) / "vectors.sqlite", max_bytes)
    if cache.store == "redis":
        address = f"redis://{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{settings.get('db', 0)}"
        return RedisStore(settings.get("url", address))
    raise EmbeddingConfigError(
        f"there is no embedding cache store {cache.store!r}; known are in_memory, filesystem, sqlite, redis"
    )
