"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""
_FILES = (
    ("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", ("total_inactive_file", "total_active_file")),
)
"""Limit, use, and of the use what is copies of files, in bytes: of version 2 (docs.kernel.org/admin-guide/cgroup-v2.html), of version 1
(cgroup-v1/memory.html)."""


def available_memory(cgroup: Path = CGROUP) -> int:
    """Bytes that can be had without swapping: what the system has, or where a container is limited what is left to it, if that is less.

    Copies of files that the kernel keeps are in nobody's way: weights that were read just now are among them.
    """
    return max(0, min([int(psutil.virtual_memory().available), *_left(cgroup)]))


def _left(cgroup: Path) -> list[int]:
    found = []
    for limit, use, stat, files in _FILES:
        try:
            kept = dict(line.split() for line in (cgroup / stat).read_text().splitlines())
            held = int((cgroup / use).read_text()) - sum(int(kept.get(name, 0)) for name in files)
            found.append(int((cgroup / limit).read_text()) - held)
        except (OSError, ValueError):  # no such version, or "max": no limit
            continue
    return found
