"""A checkpoint from a folder or the hub, or one line that says why not.

What can be known from the files is checked before a weight is read: a bad checkpoint fails in seconds, not after half an hour.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING, Any, Literal

import torch

from model.base import ModelError

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
FILES = ["*.json", "*.safetensors", "*.jinja"]
BF16_PAYS = 2**30
"""Bytes of weights below which bfloat16 is not worth it on a CPU: a small model is bound by dispatch, and float32 answers alike everywhere."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how weights are held.

    dtype: "auto" is the checkpoint's own on CUDA, and on a CPU that has bfloat16 arithmetic for a large bfloat16 checkpoint; otherwise
    float32 on a CPU. device_map: as the library takes it ("auto", "cpu", a dict of modules); None is CUDA when there is one. attention,
    experts: implementations by the library's names ("sdpa", "eager" …; "grouped_mm", "batched_mm" …).
    """

    dtype: Dtype = "auto"
    device_map: str | Mapping[str, int | str] | None = None
    attention: str | None = None
    experts: str | None = None


def find(path_or_id: str | Path, offline: bool) -> Path:
    """The folder of a checkpoint, downloaded first when a hub id is given. Raises ModelError."""
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(path_or_id, Path) or folder.exists() or not fullmatch(r"[\w.-]+/[\w.-]+", path_or_id) or path_or_id.startswith("."):
        raise ModelError(f"There is no folder {path_or_id}: give the folder of a Glm4vMoe checkpoint or a hub id such as zai-org/GLM-4.5V.")
    return _download(path_or_id, offline)


def _download(repo: str, offline: bool) -> Path:
    import httpx
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=FILES, local_files_only=offline))
    except (OSError, ValueError, httpx.HTTPError) as error:
        why = "offline, and it is not in the hub's cache" if offline else f"the hub says: {_first_line(error)}"
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
        raise ModelError(f"{file} cannot be read ({_first_line(error)}): copy it again from the model's own repository.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds no JSON object: copy it again from the model's own repository.")
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files, each present and whole. Raises ModelError naming the one that is not."""
    from safetensors import SafetensorError, safe_open

    index = folder / "model.safetensors.index.json"
    names = sorted(set(read_json(index).get("weight_map", {}).values())) if index.is_file() else ["model.safetensors"]
    for file in (folder / name for name in names):
        if not file.is_file():
            raise ModelError(f"{folder} lacks its weights {file.name}: copy that file from where the checkpoint came from.")
        try:
            with safe_open(file, "pt"):  # reads the header and compares the length
                pass
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file} is cut short or damaged ({_first_line(error)}): copy it again.") from error
    return [folder / name for name in names]


def load_weights(folder: Path, config: Mapping[str, Any], placement: Placement) -> Glm4vMoeForConditionalGeneration:
    """The library's model in eval mode. Raises ModelError when files or weights are missing or unfit, or memory does not suffice."""
    size = sum(file.stat().st_size for file in weight_files(folder))
    on_cuda = placement.device_map is None and torch.cuda.is_available()
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    dtype = _dtype(placement, stored, size, on_cuda)
    if placement.device_map in (None, "cpu") and not on_cuda:
        _check_memory(folder, size * torch.empty(0, dtype=dtype).itemsize // _itemsize(stored))
    model = _from_pretrained(folder, dtype, placement)
    return model.to("cuda") if on_cuda and not hasattr(model, "hf_device_map") else model  # type: ignore[arg-type]


def _from_pretrained(folder: Path, dtype: torch.dtype, placement: Placement) -> Glm4vMoeForConditionalGeneration:
    from transformers import Glm4vMoeForConditionalGeneration

    accelerate = importlib.util.find_spec("accelerate") is not None
    if placement.device_map is not None and not accelerate:
        raise ModelError("device_map needs the package accelerate: pip install accelerate.")
    spread = "auto" if placement.device_map is None and torch.cuda.is_available() and accelerate else placement.device_map
    try:
        model, report = Glm4vMoeForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            device_map=spread,
            attn_implementation=placement.attention,
            experts_implementation=placement.experts,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} cannot be loaded: {_first_line(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{folder} lacks {_some(missing)}: without them the model would answer at random; copy the whole checkpoint again.")
    return model.eval()


def _dtype(placement: Placement, stored: str, size: int, on_cuda: bool) -> torch.dtype:
    if placement.dtype != "auto":
        return _named(placement.dtype)
    if on_cuda or placement.device_map not in (None, "cpu"):
        return _named(stored)
    features = torch.cpu.get_capabilities()
    native = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return torch.bfloat16 if stored == "bfloat16" and native and size >= BF16_PAYS else torch.float32


def _named(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ModelError(f"There is no dtype {name!r}: use auto, float32, bfloat16 or float16.")
    return found


def _itemsize(stored: str) -> int:
    return torch.empty(0, dtype=_named(stored)).itemsize


def _check_memory(folder: Path, needed: int) -> None:
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return  # only Linux tells what is free without another package
    available = next(int(line.split()[1]) * 1024 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:"))
    if needed > available:
        raise ModelError(
            f"{folder} needs {needed / 2**30:.0f} GiB of memory and {available / 2**30:.0f} GiB are free: "
            "use a larger machine, dtype='bfloat16', or device_map='auto' with accelerate."
        )


def _some(names: Sequence[str], shown: int = 3) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"the weights {', '.join(names[:shown])}{rest}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
