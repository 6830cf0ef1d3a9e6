"""A checkpoint rewritten for fast loading: the experts of a layer as one tensor, as the library holds them, and in another type if asked.

Tensor by tensor, so that a machine that cannot hold the model can convert it: no more than a file's worth is in memory at once. Such a
checkpoint is for the library and for us: other loaders may pass over fused experts without a word, which its config.json says.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from model.base import ModelError
from model.checkpoint import INDEX, PLAIN, Tensor, find, in_one_line, read_config, tensors

Dtype = Literal["stored", "float32", "bfloat16", "float16"]
FORMAT = "glimpse-fused"
_EXPERT = re.compile(r"(?P<experts>.+\.mlp\.experts)\.(?P<index>\d+)\.(?P<matrix>gate_proj|up_proj|down_proj)\.weight")
_KEPT = "e_score_correction_bias"
"""Stays float32 whatever the rest becomes: experts are chosen by it."""


def convert(source: str | Path, out: Path, *, dtype: Dtype = "stored", shard_bytes: int = 5 * 10**9, offline: bool = False) -> Path:
    """Write the checkpoint `source` (a folder or a hub id) into the folder `out`, whole or not at all.

    dtype: "stored" leaves the numbers as they are. shard_bytes: of one file of weights at most, unless a single tensor is larger.
    Raises ModelError, one line, when `out` holds something already, the disk has no room, or the checkpoint is damaged or quantized.
    """
    folder = find(source, offline)
    config = read_config(folder)
    stored = list(tensors(folder))
    target = None if dtype == "stored" else _dtype(dtype)
    _check(folder, config, stored, out, target)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        _write_weights(_fused(folder, stored, target), work, shard_bytes)
        _write_rest(folder, config, work, target, str(source))
        work.chmod(0o755)
        work.replace(out)  # an empty folder may be replaced, anything else may not
    except OSError as error:
        raise ModelError(f"{out} cannot be written: {in_one_line(error)}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return out


def _check(folder: Path, config: dict[str, Any], stored: list[Tensor], out: Path, target: torch.dtype | None) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} holds something already: give a folder that is empty or not there.")
    if config.get("quantization_config") or {tensor.kind for tensor in stored} - PLAIN.keys():
        raise ModelError(f"{folder} is quantized; only float32, bfloat16 and float16 checkpoints are converted: give the original one.")
    needed = sum(tensor.size if target is None else tensor.size // PLAIN[tensor.kind] * target.itemsize for tensor in stored)
    place = next(parent for parent in out.absolute().parents if parent.exists())
    if needed > (free := shutil.disk_usage(place).free):
        raise ModelError(f"{out} would take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free on that disk: give another place.")


def _fused(folder: Path, stored: list[Tensor], target: torch.dtype | None) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor) as the library holds them, one at a time; of experts (E, 2·I, H) for gate and up together, (E, H, I) for down."""
    groups: dict[str, dict[tuple[int, str], Tensor]] = defaultdict(dict)
    read = _Reader()
    for tensor in stored:
        matched = _EXPERT.fullmatch(tensor.name)
        if matched is None:
            yield tensor.name, _cast(tensor.name, read(tensor), target)
        else:
            fused = "down_proj" if matched["matrix"] == "down_proj" else "gate_up_proj"
            groups[f"{matched['experts']}.{fused}"][int(matched["index"]), matched["matrix"]] = tensor
    for name, members in groups.items():
        rows = ["down_proj"] if name.endswith("down_proj") else ["gate_proj", "up_proj"]
        experts = 1 + max(index for index, _ in members)
        wanted = [(index, row) for index in range(experts) for row in rows]
        if lacking := [key for key in wanted if key not in members]:
            raise ModelError(f"{folder} lacks {lacking[0][1]} of expert {lacking[0][0]} of {name}: copy the whole checkpoint again.")
        if len({members[key].shape for key in wanted}) > 1:
            raise ModelError(f"{folder}: the experts of {name} have more than one shape: copy the whole checkpoint again.")
        yield name, _stacked([read(members[key]) for key in wanted], experts, target)


def _stacked(matrices: list[torch.Tensor], experts: int, target: torch.dtype | None) -> torch.Tensor:
    """(experts, rows, columns) of matrices that are ordered by expert and then by row; they are mapped, so only the result takes memory."""
    rows, columns = matrices[0].shape
    stacked = torch.empty((len(matrices), rows, columns), dtype=target or matrices[0].dtype)
    for place, matrix in zip(stacked, matrices, strict=True):
        place.copy_(matrix)
    return stacked.view(experts, -1, columns)


class _Reader:
    """Tensors by their names. Each file is opened once, as reading its header is what takes the time; what is read of it is mapped."""

    def __init__(self) -> None:
        self._files: dict[Path, Any] = {}

    def __call__(self, tensor: Tensor) -> torch.Tensor:
        if tensor.file not in self._files:
            self._files[tensor.file] = safe_open(tensor.file, framework="pt")
        found: torch.Tensor = self._files[tensor.file].get_tensor(tensor.name)
        return found


def _cast(name: str, tensor: torch.Tensor, target: torch.dtype | None) -> torch.Tensor:
    return tensor if target is None or name.endswith(_KEPT) else tensor.to(target)


def _write_weights(named: Iterable[tuple[str, torch.Tensor]], work: Path, shard_bytes: int) -> None:
    """Numbered files of at most so many bytes, renamed once their number is known, and the index; one file needs none."""
    shards, held, total = list[list[str]](), dict[str, torch.Tensor](), 0

    def flush() -> None:
        file = work / f"{len(shards)}.part"
        save_file(held, file, {"format": "pt"})
        file.chmod(0o644)  # it is written as the owner's alone
        shards.append(list(held))
        held.clear()

    for name, tensor in named:
        if held and sum(map(_nbytes, held.values())) + _nbytes(tensor) > shard_bytes:
            flush()
        held[name] = tensor.contiguous()
        total += _nbytes(tensor)
    flush()
    places: dict[str, str] = {}
    for number, names in enumerate(shards):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        (work / f"{number}.part").rename(work / file)
        places |= dict.fromkeys(names, file)
    if len(shards) > 1:
        _write_json(work / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))})


def _nbytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_rest(folder: Path, config: dict[str, Any], work: Path, target: torch.dtype | None, source: str) -> None:
    """Tokenizer, processor and generation files as they are; config.json with the new type and a word on who wrote this."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in (".json", ".jinja", ".md", ".txt") and file.name not in ("config.json", INDEX):
            shutil.copy(file, work / file.name)
    if target is not None:
        name = str(target).removeprefix("torch.")
        for section in (config, config.get("text_config"), config.get("vision_config")):
            if isinstance(section, dict):
                section |= {key: name for key in ("dtype", "torch_dtype") if key in section}
        config["dtype"] = name
    note = "experts are fused: load it with glimpse or transformers; other loaders may leave fused experts out without saying so"
    config["glimpse_converted"] = {"format": FORMAT, "version": metadata.version("glimpse"), "source": source, "note": note}
    _write_json(work / "config.json", config)


def _write_json(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _dtype(name: str) -> torch.dtype:
    found = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}.get(name)
    if found is None:
        raise ModelError(f"There is no dtype {name!r} to convert to: use stored, float32, bfloat16 or float16.")
    return found
