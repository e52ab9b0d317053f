"""Which LoRA adapters and prompt-tuned prefixes are loaded, and who is using them.

Adapters have a fixed number of slots on the executor. An adapter in use is never replaced; one that nobody uses makes
room for the next, the longest unused first. Each load gets a new name for the prefix cache, so that keys and values of an
earlier adapter of the same name are never reused.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from inference_backend.errors import CheckpointError, OverloadedError, UnknownAdapterError
from inference_backend.executor import Executor
from inference_backend.settings import AdapterSettings


@dataclass(slots=True)
class _Loaded:
    slot: int
    salt: str
    users: int = 0


@dataclass(frozen=True, slots=True)
class Prefix:
    """A loaded prompt-tuned prefix: its virtual tokens have the ids [start, start + length)."""

    start: int
    length: int

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids of its virtual tokens."""
        return tuple(range(self.start, self.start + self.length))


class AdapterRegistry:
    """Names to slots. `load` and `load_prefix` must run in the executor's thread; the lock guards readers elsewhere."""

    def __init__(self, executor: Executor, settings: AdapterSettings, vocab_size: int) -> None:
        self._executor = executor
        self._vocab_size = vocab_size
        self._free = list(range(settings.max_adapters, 0, -1))
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._prefixes: dict[str, Prefix] = {}
        self._rows_taken = 0
        self._loads = 0
        self._lock = Lock()
        self.prefix_rows = settings.max_prefix_tokens
        self.slots = settings.max_adapters

    @staticmethod
    def unknown(name: str, known: tuple[str, ...]) -> UnknownAdapterError:
        """The error of a request that names an adapter which is not among the `known` ones."""
        listed = f"loaded are {', '.join(known)}" if known else "none is loaded"
        return UnknownAdapterError(f"the adapter {name!r} is not loaded; {listed}", param="adapter")

    @property
    def names(self) -> tuple[str, ...]:
        """Loaded adapters, the longest unused first."""
        with self._lock:
            return tuple(self._loaded)

    def load(self, name: str, folder: str) -> None:
        """Load a LoRA adapter under a name, making room where needed; a loaded one of that name is replaced.

        Raises:
            CheckpointError: not an adapter of this model.
            OverloadedError: every slot is in use.
        """
        leaving = self._leaving(name)
        slot = self._free[-1] if leaving is None else self._loaded[leaving].slot
        # The executor reads all of a folder before it changes the slot: if that fails, whoever was there stays.
        self._executor.load_adapter(slot, folder)
        with self._lock:
            if leaving is None:
                self._free.pop()
            else:
                del self._loaded[leaving]
            self._loads += 1
            self._loaded[name] = _Loaded(slot, f"{name}#{self._loads}")

    def drop(self, name: str) -> None:
        """Forget an adapter.

        Raises:
            UnknownAdapterError: it is not loaded.
            OverloadedError: requests are using it.
        """
        with self._lock:
            loaded = self._loaded.get(name)
            if loaded is None:
                raise self.unknown(name, tuple(self._loaded))
            if loaded.users:
                raise OverloadedError(f"the adapter {name!r} is in use by {loaded.users} requests")
            del self._loaded[name]
            self._free.append(loaded.slot)

    def hold(self, name: str | None) -> tuple[int, str]:
        """Slot and cache name of an adapter, kept loaded until `release`; (0, "") for the base model.

        Raises:
            UnknownAdapterError: it is not loaded.
        """
        if name is None:
            return 0, ""
        with self._lock:
            loaded = self._loaded.get(name)
            if loaded is None:
                raise self.unknown(name, tuple(self._loaded))
            loaded.users += 1
            self._loaded.move_to_end(name)
            return loaded.slot, loaded.salt

    def release(self, name: str) -> None:
        """A request that held the adapter has ended."""
        with self._lock:
            self._loaded[name].users -= 1

    def load_prefix(self, name: str, folder: str) -> Prefix:
        """Load a prompt-tuned prefix after all that were loaded before, those of its own name included.

        The token ids of a prefix are never another's, so that what is cached of them stays true.

        Raises:
            CheckpointError: not a prefix of this model, or no room is left for it.
        """
        start = self._rows_taken
        length = self._executor.load_prefix(start, folder)
        with self._lock:
            self._rows_taken += length
            self._prefixes[name] = Prefix(self._vocab_size + start, length)
            return self._prefixes[name]

    def prefix(self, name: str) -> Prefix:
        """A loaded prefix.

        Raises:
            UnknownAdapterError: it is not loaded.
        """
        with self._lock:
            if name not in self._prefixes:
                raise self.unknown(name, tuple(self._prefixes))
            return self._prefixes[name]

    def _leaving(self, name: str) -> str | None:
        """The adapter whose slot a new one of this name gets; None where a slot is free."""
        own = self._loaded.get(name)
        if own is not None and own.users:
            raise OverloadedError(f"the adapter {name!r} is in use by {own.users} requests")
        if own is not None:
            return name
        if self._free:
            return None
        if not self._loaded:
            raise CheckpointError("this engine was started without room for LoRA adapters (max_adapters)")
        idle = next((other for other, loaded in self._loaded.items() if not loaded.users), None)
        if idle is None:
            raise OverloadedError("every adapter slot is in use")
        return idle
