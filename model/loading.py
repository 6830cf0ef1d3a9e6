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
from model.checkpoint import Weights, in_one_line

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
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
            ignore_mismatched_sizes=True,  # reported and refused below, where they can be named
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
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
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
