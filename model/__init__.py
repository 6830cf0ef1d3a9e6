"""Models: messages in, a completion out. Importing this loads no heavy library; `load_model` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model.base import Completion, GenerationConfig, Message, Model, ModelError, ToolCall

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

__all__ = ["Completion", "GenerationConfig", "Message", "Model", "ModelError", "ToolCall", "embedded_path", "load_model"]


def embedded_path() -> Path:
    """The folder of the checkpoint that comes with the package."""
    return Path(__file__).parent / "tiny"


def load_model(
    path_or_id: str | Path = "tiny",
    *,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    device_map: str | Mapping[str, int | str] | None = None,
    attention: str | None = None,
    experts: str | None = None,
    offload_folder: str | Path | None = None,
    tensor_parallel: int | None = None,
    expert_parallel: bool = False,
    cache_bytes: int | None = None,
    offline: bool = False,
) -> Glm4vMoe:
    """A Glm4vMoe checkpoint from a folder or a hub id; "tiny" is the embedded one. Options and errors as `Glm4vMoe.load`."""
    from model.glm4v_moe import Glm4vMoe

    source = embedded_path() if path_or_id == "tiny" else path_or_id
    loaded = Glm4vMoe.load(
        source, dtype=dtype, device_map=device_map, attention=attention, experts=experts, offload_folder=offload_folder,
        tensor_parallel=tensor_parallel, expert_parallel=expert_parallel, cache_bytes=cache_bytes, offline=offline,
    )  # fmt: skip
    loaded.name = str(path_or_id)
    return loaded
