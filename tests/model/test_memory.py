"""What is free is what this process may take, in a container and out of it; the layers' devices share it."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from model.glm4v_moe import kv_budget
from model.memory import available_memory


def container(folder: Path, limit: str, stat: str, old: bool = False) -> Path:
    where = folder / "memory" if old else folder
    where.mkdir(exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
    for name, text in zip((*names, "memory.stat"), (limit, "700000", stat), strict=True):
        (where / name).write_text(text + "\n")
    return folder


def test_without_a_container_it_is_what_the_system_has(tmp_path: Path) -> None:
    for folder in (tmp_path, container(tmp_path, "max", "inactive_file 5")):
        assert abs(available_memory(folder) - psutil.virtual_memory().available) < 2**30


def test_a_container_s_limit_counts_without_the_files_that_are_kept_in_memory(tmp_path: Path) -> None:
    assert available_memory(container(tmp_path, "1000000", "anon 3\ninactive_file 100000\nactive_file 50000")) == 450_000


def test_the_older_version_of_such_limits_is_understood(tmp_path: Path) -> None:
    assert available_memory(container(tmp_path, "1000000", "total_inactive_file 100000\ninactive_file 1", old=True)) == 400_000


def test_the_device_with_least_memory_for_each_of_its_layers_decides() -> None:
    two, three = (kv_budget([torch.device("cpu")] * 2 + [torch.device("meta")] * more) for more in (0, 1))
    assert abs(three - two * 3 / 2) < 2**30
    assert 0 < two < psutil.virtual_memory().total
