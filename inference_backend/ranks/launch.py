"""Starting the ranks of a model on this machine."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import distributed
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]

from inference_backend.executor import Executor
from inference_backend.parallel import SINGLE, TensorGroup, open_peer_memory
from inference_backend.ranks.executor import RankedExecutor, serve_rank
from inference_backend.ranks.link import Link
from inference_backend.ranks.place import RankPlace
from inference_backend.settings import EngineSettings

MakeExecutor = Callable[[EngineSettings, TensorGroup, "Link | None"], Executor]
_PATIENCE = dt.timedelta(minutes=30)
_HOST = "127.0.0.1"


def open_ranks(settings: EngineSettings, make: MakeExecutor) -> RankedExecutor:
    """Start the other ranks as processes and become rank 0; `make` must be importable by name.

    The ranks end with `close`, or when this process does.
    """
    world = RankPlace(0, settings.parallel).world
    store = TCPStore(_HOST, 0, world, is_master=True, timeout=_PATIENCE, wait_for_workers=False)
    context = multiprocessing.get_context("spawn")
    pipes: dict[int, Connection] = {}
    for rank in range(1, world):
        pipes[rank], theirs = context.Pipe()
        arguments = (settings, rank, _Way(store.port, theirs), make)
        context.Process(target=run_rank, args=arguments, daemon=True, name=f"rank-{rank}").start()
        theirs.close()  # so that the end of that process is the end of the pipe
    link, group = _join(RankPlace(0, settings.parallel), store, pipes, settings)
    return RankedExecutor(make(settings, group, link), link)


@dataclass(frozen=True, slots=True)
class _Way:
    """How another rank reaches rank 0: the port of the meeting place, and the pipe for commands."""

    port: int
    pipe: Connection


def run_rank(settings: EngineSettings, rank: int, way: _Way, make: MakeExecutor) -> None:
    """A process other than rank 0, from start to end."""
    place = RankPlace(rank, settings.parallel)
    store = TCPStore(_HOST, way.port, place.world, is_master=False, timeout=_PATIENCE)
    link, group = _join(place, store, {0: way.pipe}, settings)
    serve_rank(make(settings, group, link), link)
    link.close()


def _join(
    place: RankPlace, store: Store, pipes: dict[int, Connection], settings: EngineSettings
) -> tuple[Link, TensorGroup]:
    """Meet the other ranks; every rank makes every group, in the same order."""
    backend = "nccl" if settings.device != "cpu" and torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(place.rank)
    distributed.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.world, timeout=_PATIENCE
    )
    size = settings.parallel.tensor
    groups = [
        distributed.new_group(list(range(stage * size, (stage + 1) * size)))
        for stage in range(settings.parallel.pipeline)
    ]
    if size == 1:
        return Link(place, pipes), SINGLE
    mine = groups[place.stage]
    peers = None
    if backend == "nccl" and size == 2:
        peers = open_peer_memory(mine, torch.device("cuda", place.rank))
    return Link(place, pipes), TensorGroup(place.tensor_rank, size, mine, peers)
