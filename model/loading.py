"""A checkpoint's weights as the library's model: in which type, on which device, whole or refused."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from model.base import ModelError
from model.checkpoint import PLAIN, Weights, in_one_line, read_config
from model.memory import available_memory
from model.parallel import plan

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
BF16_PAYS = 500_000_000
"""Parameters below which bfloat16 does not pay on a CPU: dispatch takes the time there, and float32 answers alike everywhere."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how weights are held.

    dtype: "auto" is the checkpoint's own on CUDA, and on a CPU that has bfloat16 arithmetic for a large bfloat16 checkpoint; otherwise
    float32 on a CPU. device_map: as the library takes it ("auto", "cpu", a dict of modules to devices, "cpu" or "disk"); None is CUDA when
    there is one. attention, experts: implementations by the library's names ("sdpa", "eager" …; "grouped_mm", "batched_mm" …).
    offload_folder: where weights go that device_map puts on the disk. tensor_parallel: how many processes, started by torchrun, hold one
    model together; expert_parallel: they share the experts whole instead of in slices.
    """

    dtype: Dtype = "auto"
    device_map: str | Mapping[str, int | str] | None = None
    attention: str | None = None
    experts: str | None = None
    offload_folder: str | Path | None = None
    tensor_parallel: int | None = None
    expert_parallel: bool = False


def load_weights(folder: Path, placement: Placement) -> Glm4vMoeForConditionalGeneration:
    """The library's model in eval mode. Raises ModelError when files or weights are missing or unfit, or memory does not suffice."""
    weights, config = Weights.inspect(folder), read_config(folder)
    dtype = _dtype(placement, weights)
    if _on_cpu(placement) and placement.device_map in (None, "cpu"):
        itemsize = dtype.itemsize if isinstance(dtype, torch.dtype) else 2
        _check_memory(folder, weights.parameters * itemsize // (placement.tensor_parallel or 1))
    options = _shared(folder, config, placement) | _quantized(folder, config, weights)
    with _quiet(weights.parameters < BF16_PAYS):
        model = _from_pretrained(folder, dtype, placement, options)
    if not _on_cpu(placement) and not placement.tensor_parallel and not hasattr(model, "hf_device_map"):
        model.to("cuda")  # type: ignore[arg-type]  # the library's wrapper hides the signature
    return model


def _shared(folder: Path, config: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """How several devices or processes share the weights, in the library's words. Raises ModelError for what cannot be."""
    if placement.tensor_parallel:
        if placement.device_map is not None:
            raise ModelError("device_map and tensor_parallel exclude each other: give one of them.")
        return {"distributed_config": plan(folder, config, placement.tensor_parallel, placement.expert_parallel)}
    if placement.expert_parallel:
        raise ModelError("expert_parallel needs processes to share the experts: give tensor_parallel, their number, as well.")
    device_map, offload = _device_map(placement), placement.offload_folder
    if device_map is not None and "disk" in _places(placement) and offload is None:
        raise ModelError("device_map puts weights on the disk: give offload_folder, a folder to keep them in.")
    return {"device_map": device_map} | ({"offload_folder": str(offload)} if offload is not None else {})


def _quantized(folder: Path, config: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """What a quantized checkpoint needs to be loaded with. Raises ModelError naming the package that is missing, or what is unknown: the
    library would take the stored numbers for the weights themselves.

    FP8 (fine-grained) is computed with where there is a CUDA GPU of compute capability 8.9 or newer; the library turns it into bfloat16
    elsewhere. compressed-tensors become numbers of the type asked for, as the library has no other way for experts.
    """
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method == "compressed-tensors":
        _need("compressed_tensors", f"{folder} is stored as compressed-tensors")
        from transformers import CompressedTensorsConfig

        return {"quantization_config": CompressedTensorsConfig(dequantize=True)}
    if method == "fp8":
        _need("accelerate", f"{folder} holds FP8 weights")
        if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 9):
            _need("kernels", f"{folder} holds FP8 weights")
        else:
            why = "computing with FP8 needs a CUDA GPU of compute capability 8.9 or newer (RTX 40, L4, H100 …)"
            warnings.warn(f"{folder}: {why}; its weights become two bytes a number or more.", stacklevel=2)
    if method is None and weights.stored not in PLAIN:
        raise ModelError(f"{folder} holds {weights.stored} weights and its config.json has no quantization_config: copy it again.")
    if method is not None:
        from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as known

        if method not in known:
            raise ModelError(f"{folder} is quantized by {method!r}, which is unknown here: use a checkpoint of one of {sorted(known)}.")
    return {}


def _need(package: str, why: str) -> None:
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        raise ModelError(f"{why}: that needs the package {name}: pip install {name}.")


def _from_pretrained(
    folder: Path, dtype: torch.dtype | str, placement: Placement, options: Mapping[str, Any]
) -> Glm4vMoeForConditionalGeneration:
    from transformers import Glm4vMoeForConditionalGeneration

    try:
        loaded: Any = Glm4vMoeForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=placement.attention,
            experts_implementation=placement.experts,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported and refused below, where they can be named
            **options,
        )
    except Exception as error:  # what a bad configuration runs into is not limited: assertions, divisions by zero, the hub's own errors
        raise ModelError(f"{folder} cannot be loaded, by its config.json or the options given: {in_one_line(error)}") from error
    model, report = loaded
    _check_report(folder, report)
    evaluated: Glm4vMoeForConditionalGeneration = model.eval()
    return evaluated


def _check_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Raises ModelError for weights that would be random, warns of those that are left out."""
    if unfit := sorted(key for key, *_ in report["mismatched_keys"]):
        raise ModelError(f"{folder}: config.json gives other shapes than {_some(unfit)} have: copy the whole checkpoint again.")
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{folder} lacks {_some(missing)}: the model would answer at random; copy the whole checkpoint again.")
    if extra := sorted(report["unexpected_keys"]):
        warnings.warn(f"{folder}: config.json has no place for {_some(extra)}: left out.", stacklevel=2)


def _places(placement: Placement) -> set[int | str]:
    """Where device_map puts weights."""
    where = placement.device_map
    return set(where.values()) if isinstance(where, Mapping) else {where or "auto"}


def _on_cpu(placement: Placement) -> bool:
    """Whether the CPU computes: weights on the disk are read into memory for that."""
    places = _places(placement)
    return places <= {"cpu", "disk"} or (places == {"auto"} and not torch.cuda.is_available())


def _device_map(placement: Placement) -> str | dict[str, int | str] | None:
    """None leaves the weights on the CPU; anything else is done by accelerate."""
    where = placement.device_map
    if where == "cpu" or (where is None and not torch.cuda.is_available()):
        return None
    if importlib.util.find_spec("accelerate") is None:
        if where is None:
            return None
        raise ModelError("device_map needs the package accelerate: pip install accelerate.")
    return dict(where) if isinstance(where, Mapping) else where or "auto"


def _dtype(placement: Placement, weights: Weights) -> torch.dtype | str:
    """A type, or "auto": the one that config.json names."""
    if placement.dtype != "auto":
        return _named(placement.dtype)
    if not _on_cpu(placement):
        return "auto"
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
    native = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return torch.bfloat16 if weights.stored in ("BF16", "F8_E4M3") and native and weights.parameters >= BF16_PAYS else torch.float32


@contextmanager
def _quiet(small: bool) -> Iterator[None]:
    """None of the library's own reports while loading: we say what is wrong; and no progress bar when it takes a second."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if small:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You passed `quantization_config`")  # whose merging is what we want
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
    available = available_memory()
    if needed > available:
        raise ModelError(
            f"{folder} needs {needed / 2**30:.0f} GiB of memory and {available / 2**30:.0f} GiB are free: "
            "use a larger machine, dtype='bfloat16', or device_map='auto' with accelerate."
        )


def _some(names: Sequence[str], shown: int = 3) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"the weights {', '.join(names[:shown])}{rest}"
