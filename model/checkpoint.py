"""A checkpoint's files: found, downloaded, looked at, and found whole or refused, before a weight is read.

A bad checkpoint fails in a second, not after half an hour. Reads headers and JSON only; knows no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from re import fullmatch
from typing import Any

from model.base import ModelError

FILES = ("*.json", "*.safetensors", "*.jinja")
INDEX = "model.safetensors.index.json"
PLAIN = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}
"""Types of weights that are no quantization, as safetensors names them, and their bytes."""


def find(path_or_id: str | Path, offline: bool, files: Sequence[str] = FILES) -> Path:
    """The folder of a checkpoint; of a hub id, these files are downloaded first. Raises ModelError."""
    folder = _expanded(Path(path_or_id))
    if folder.is_dir():
        return folder
    if isinstance(path_or_id, Path) or folder.exists() or not fullmatch(r"[\w.-]+/[\w.-]+", path_or_id) or path_or_id.startswith("."):
        raise ModelError(f"There is no folder {path_or_id}: give the folder of a Glm4vMoe checkpoint or a hub id such as zai-org/GLM-4.5V.")
    return _download(path_or_id, offline, files)


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # "~" before the name of nobody
        return path


def _download(repo: str, offline: bool, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=list(files), local_files_only=offline))
    except (OSError, ValueError) as error:  # the hub's errors and its client's are OSErrors; a bad name is a ValueError
        why = "offline, and it is not in the hub's cache" if offline else f"the hub says: {in_one_line(error)}"
        raise ModelError(f"There is no folder {repo}, and no model of that name can be had ({why}).") from error


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a Glm4vMoe checkpoint. Raises ModelError when it is anything else."""
    file = folder / "config.json"
    if not file.is_file():
        raise ModelError(f"{folder} is no checkpoint, it has no config.json: give the folder of a Glm4vMoe checkpoint.")
    config = read_json(file)
    if (kind := config.get("model_type")) != "glm4v_moe":
        raise ModelError(f"{folder} holds a model of type {kind!r}, not glm4v_moe: use GLM-4.5V, GLM-4.6V or another Glm4vMoe checkpoint.")
    return config


def read_json(file: Path) -> dict[str, Any]:
    """An object from a JSON file. Raises ModelError when it holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({in_one_line(error)}): copy it again from the model's own repository.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds no JSON object: copy it again from the model's own repository.")
    return found


@dataclass(frozen=True, slots=True)
class Weights:
    """What a checkpoint's safetensors headers say.

    parameters: how many numbers; stored: the type of most of them ("BF16", "F32" …); sizes: bytes by type.
    """

    parameters: int
    stored: str
    sizes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def inspect(cls, folder: Path) -> Weights:
        """Reads headers only. Raises ModelError naming the file that is missing, cut short or damaged."""
        counts, sizes = dict[str, int](), dict[str, int]()
        for tensor in tensors(folder):
            counts[tensor.kind] = counts.get(tensor.kind, 0) + math.prod(tensor.shape)
            sizes[tensor.kind] = sizes.get(tensor.kind, 0) + tensor.size
        return cls(sum(counts.values()), max(counts, key=lambda kind: counts[kind], default="F32"), sizes)


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies. kind: its type as safetensors names it; size: in bytes."""

    name: str
    file: Path
    kind: str
    shape: tuple[int, ...]
    size: int


def tensors(folder: Path) -> Iterator[Tensor]:
    """All of a checkpoint, by their files' headers. Raises ModelError naming the file that is missing, cut short or damaged."""
    for name in _weight_files(folder):
        yield from _tensors(folder / name)


def _weight_files(folder: Path) -> list[str]:
    index = folder / INDEX
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted({str(name) for name in read_json(index)["weight_map"].values()})
    except (KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index} names no files of weights: copy it again from the model's own repository.") from error


def _tensors(file: Path) -> list[Tensor]:
    """Format: 8 bytes of header length, a JSON header, the numbers (github.com/huggingface/safetensors)."""
    if not file.is_file():
        raise ModelError(f"{file.parent} lacks its weights, {file.name}: copy that file from where the checkpoint came from.")
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        header.pop("__metadata__", None)
        spans = {name: tensor["data_offsets"] for name, tensor in header.items()}
        end = max((last for _, last in spans.values()), default=0)
        found = [
            Tensor(name, file, str(tensor["dtype"]), tuple(tensor["shape"]), spans[name][1] - spans[name][0])
            for name, tensor in header.items()
        ]
    except (OSError, ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{file} is cut short or damaged, its header cannot be read: copy it again.") from error
    if (size := file.stat().st_size) != 8 + length + end:
        raise ModelError(f"{file} is cut short or damaged, it has {size:,} bytes and should have {8 + length + end:,}: copy it again.")
    return found


def in_one_line(error: Exception) -> str:
    """What an error says, or else its name, without line breaks and at most 300 characters long."""
    return " ".join(str(error).split())[:300] or type(error).__name__
