"""A checkpoint from a folder or the hub, or one line that says why not.

What can be known from the files is checked before a weight is read: a bad checkpoint fails in seconds, not after half an hour.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
BF16_PAYS = 500_000_000
"""Parameters below which bfloat16 does not pay on a CPU: dispatch takes the time there, and float32 answers alike everywhere."""


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
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=FILES, local_files_only=offline))
    except (OSError, ValueError) as error:  # the hub's errors and its client's are OSErrors; a bad name is a ValueError
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


@dataclass(frozen=True, slots=True)
class Weights:
    """What a checkpoint's safetensors headers say: how many numbers, and the type most of them are stored in ("BF16", "F32" …)."""

    parameters: int
    stored: str

    @classmethod
    def inspect(cls, folder: Path) -> Weights:
        """Reads headers only. Raises ModelError naming the file that is missing, cut short or damaged."""
        index = folder / "model.safetensors.index.json"
        names = sorted(set(read_json(index).get("weight_map", {}).values())) if index.is_file() else ["model.safetensors"]
        counts: dict[str, int] = {}
        for name in names:
            for kind, shape in _tensors(folder / name):
                counts[kind] = counts.get(kind, 0) + math.prod(shape)
        return cls(sum(counts.values()), max(counts, key=lambda kind: counts[kind], default="F32"))


def _tensors(file: Path) -> Iterator[tuple[str, list[int]]]:
    """(type, shape) of every tensor; format: 8 bytes of header length, a JSON header, the numbers (github.com/huggingface/safetensors)."""
    if not file.is_file():
        raise ModelError(f"{file.parent} lacks its weights, {file.name}: copy that file from where the checkpoint came from.")
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        header.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        found = [(str(tensor["dtype"]), list(tensor["shape"])) for tensor in header.values()]
    except (OSError, ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{file} is cut short or damaged, its header cannot be read: copy it again.") from error
    if (size := file.stat().st_size) != 8 + length + end:
        raise ModelError(f"{file} is cut short or damaged, it has {size:,} bytes and should have {8 + length + end:,}: copy it again.")
    yield from found


def load_weights(folder: Path, placement: Placement) -> Glm4vMoeForConditionalGeneration:
    """The library's model in eval mode. Raises ModelError when files or weights are missing or unfit, or memory does not suffice."""
    weights = Weights.inspect(folder)
    dtype = _dtype(placement, weights)
    if _on_cpu(placement):
        itemsize = dtype.itemsize if isinstance(dtype, torch.dtype) else 2
        _check_memory(folder, weights.parameters * itemsize)
    with _quiet(weights.parameters < BF16_PAYS):
        model = _from_pretrained(folder, dtype, placement)
    if not _on_cpu(placement) and not hasattr(model, "hf_device_map"):
        model.to("cuda")  # type: ignore[arg-type]  # the library's wrapper hides the signature
    return model


def _from_pretrained(folder: Path, dtype: torch.dtype | str, placement: Placement) -> Glm4vMoeForConditionalGeneration:
    from transformers import Glm4vMoeForConditionalGeneration

    try:
        loaded: Any = Glm4vMoeForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            device_map=_device_map(placement),
            attn_implementation=placement.attention,
            experts_implementation=placement.experts,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} cannot be loaded: {_first_line(error)}") from error
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{folder} lacks {_some(missing)}: the model would answer at random; copy the whole checkpoint again.")
    evaluated: Glm4vMoeForConditionalGeneration = model.eval()
    return evaluated


def _on_cpu(placement: Placement) -> bool:
    return placement.device_map == "cpu" or (placement.device_map is None and not torch.cuda.is_available())


def _device_map(placement: Placement) -> str | dict[str, int | str] | None:
    """None leaves the weights on the CPU; anything else is done by accelerate."""
    if _on_cpu(placement):
        return None
    if importlib.util.find_spec("accelerate") is None:
        if placement.device_map is None:
            return None
        raise ModelError("device_map needs the package accelerate: pip install accelerate.")
    return dict(placement.device_map) if isinstance(placement.device_map, Mapping) else placement.device_map or "auto"


def _dtype(placement: Placement, weights: Weights) -> torch.dtype | str:
    """A type, or "auto": the one that config.json names."""
    if placement.dtype != "auto":
        return _named(placement.dtype)
    if not _on_cpu(placement):
        return "auto"
    features = torch.cpu.get_capabilities()
    native = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return torch.bfloat16 if weights.stored == "BF16" and native and weights.parameters >= BF16_PAYS else torch.float32


@contextmanager
def _quiet(small: bool) -> Iterator[None]:
    """None of the library's own reports while loading: we say what is wrong; and no progress bar when it takes a second."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if small:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _named(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ModelError(f"There is no dtype {name!r}: use auto, float32, bfloat16 or float16.")
    return found


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
