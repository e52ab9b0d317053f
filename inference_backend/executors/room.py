"""How much memory there is, before it is asked for: asking too much ends the process, not the request."""

from __future__ import annotations

import os
import re
from pathlib import Path

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)
_INACTIVE = re.compile(r"^inactive_file (\d+)", re.MULTILINE)


def free_memory(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that can be had: what the machine has left, or this process's control group if that is less.

    What caches of files hold counts as left.
    """
    group = _group_left(proc, cgroups)
    machine = _machine_left(proc)
    return machine if group is None else min(machine, group)


def _machine_left(proc: Path) -> int:
    found = _AVAILABLE.search(_text(proc / "meminfo"))
    if found:
        return int(found[1]) * 1024
    # Elsewhere than on Linux: half of what the machine has is a guess that leaves room for others.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _group_left(proc: Path, cgroups: Path) -> int | None:
    """What the control group (version 2) leaves; None where it has no limit."""
    own = next(
        (line[3:] for line in _text(proc / "self" / "cgroup").splitlines() if line.startswith("0::")), "/"
    )
    for folder in (cgroups / own.strip().lstrip("/"), cgroups):
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            idle = _INACTIVE.search(_text(folder / "memory.stat"))
            return max(limit - used + (int(idle[1]) if idle else 0), 0)
    return None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
