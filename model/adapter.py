"""Adapter folders, as the peft library writes them: the base they name, and merging them into it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.base import ModelError

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

ADAPTER, ABOUT = "adapter_config.json", "glimpse.json"


def load_peft() -> Any:
    """The library. Raises ModelError when it is not installed."""
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise ModelError(f"Adapters need the package peft ({error}): pip install 'glimpse[lora]'.") from None


def base_of(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The base that an adapter folder names, and what it says of its use; None when it is no adapter. Raises ModelError."""
    if not (folder / ADAPTER).is_file():
        return None
    try:
        spec = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8")) if (folder / ABOUT).is_file() else {}
        return str(spec["base_model_name_or_path"]), dict(about)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / ADAPTER} is damaged ({error!r}): train the adapter again.") from None


def merge(model: Glm4vMoeForConditionalGeneration, folder: Path) -> Glm4vMoeForConditionalGeneration:
    """The model with an adapter added to its weights. Raises ModelError when peft is missing or the adapter does not fit."""
    peft = load_peft()
    try:
        merged: Any = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        raise ModelError(f"The adapter {folder} does not fit its base: {str(error).splitlines()[0]}") from error
    found: Glm4vMoeForConditionalGeneration = merged
    return found
