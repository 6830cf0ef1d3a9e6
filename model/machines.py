"""What fits where: a model's weights, the keys and values of screenshots and the room to compute in, against the memory of machines.

An estimate by formulas that are stated here and in docs/hardware.md. Knows no files and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import psutil

from model.sizes import Architecture, Numbers, itemsize

CHUNK = 2048
"""Tokens that are read at once while a prompt is read."""
TEXT_PER_SCREENSHOT = 100
"""Tokens of text that come with each screenshot: a reply and its frame."""
USABLE = 0.95
"""Share of a memory that is ours: the rest is the driver's, the allocator's and the system's."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory to hold a model in: so many devices of so many bytes each. gpu: FP8 is computed with there, on a CPU it is not."""

    name: str
    devices: int
    memory: int
    gpu: bool


MACHINES = (
    Machine("1 × 80 GB GPU", 1, 80 * 10**9, True),
    Machine("4 × 80 GB GPU", 4, 80 * 10**9, True),
    Machine("8 × 80 GB GPU", 8, 80 * 10**9, True),
    Machine("256 GiB RAM", 1, 256 * 2**30, False),
    Machine("512 GiB RAM", 1, 512 * 2**30, False),
)
"""Usual ones. 80 GB is taken as 80 · 10⁹ bytes, which such cards have and a little more; main memory comes in powers of two."""


@dataclass(frozen=True, slots=True)
class Screenshots:
    """What a conversation holds. tokens: of one; patches: of one, before they are merged; count: how many."""

    tokens: int
    patches: int
    count: int

    @property
    def step(self) -> int:
        """Tokens of one with the text that comes with it."""
        return self.tokens + TEXT_PER_SCREENSHOT


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model needs on one of a machine's devices, in bytes, and what there is.

    split: how the devices share it: "" for one device, tensor_parallel where the KV heads divide, else whole layers by device_map.
    context: keys, values and vision features of the screenshots. most: how many of them would fit, the model's context being the limit.
    """

    machine: str
    numbers: Numbers
    split: str
    weights: int
    context: int
    activations: int
    usable: int
    most: int

    @property
    def needed(self) -> int:
        return self.weights + self.context + self.activations

    @property
    def fits(self) -> bool:
        return self.needed <= self.usable


def fits(architecture: Architecture, machine: Machine, screenshots: Screenshots) -> list[Fit]:
    """One for each way of holding the numbers; not FP8 on a CPU, where the library turns it into bfloat16."""
    kinds: tuple[Numbers, ...] = ("bf16/fp16", "fp32", "FP8") if machine.gpu else ("bf16/fp16", "fp32")
    return [_fit(architecture, machine, screenshots, numbers) for numbers in kinds]


def _fit(architecture: Architecture, machine: Machine, screenshots: Screenshots, numbers: Numbers) -> Fit:
    devices, text = machine.devices, architecture.text
    parallel = devices > 1 and text.num_key_value_heads % devices == 0
    share = 1 / devices if parallel else ceil(text.num_hidden_layers / devices) / text.num_hidden_layers
    vision = architecture.vision.parameters * itemsize(numbers)
    weights = vision + ceil((architecture.weights(numbers) - vision) * share)
    one = ceil(screenshots.step * architecture.cache(numbers) * share) + screenshots.tokens * text.hidden_size * itemsize(numbers)
    working = activations(architecture, screenshots, numbers, devices if parallel else 1)
    usable = int(machine.memory * USABLE)
    most = max(0, min((usable - weights - working) // one, text.max_position_embeddings // screenshots.step))
    split = "" if devices == 1 else f"tensor_parallel={devices}" if parallel else "device_map"
    return Fit(machine.name, numbers, split, weights, one * screenshots.count, working, usable, most)


def activations(architecture: Architecture, screenshots: Screenshots, numbers: Numbers, parallel: int) -> int:
    """Bytes of what is computed on the way, the larger of two moments: a screenshot in the vision tower, a chunk in one text layer.

    With b bytes a number, C tokens a chunk, L the context, n devices in parallel, H and D the widths of text and vision, Q and K the widths
    of all query and of all key heads, k experts of width I, P patches, O the vision tower's output width, V the vocabulary:
    text: b·C·(4·H + 2·(Q + K)/n + k·(2·H + 3·I/n)) + b·C·L + 2·b·L·Q/n + 4·V; the mask is C × L, and keys and values are repeated to
    all query heads, as the library does with a mask. vision: P·(b·(5·D + 2·O) + 16·D); queries and keys turn in float32.
    """
    text, vision, size = architecture.text, architecture.vision, itemsize(numbers)
    queries, keys = (heads * text.head // parallel for heads in (text.num_attention_heads, text.num_key_value_heads))
    experts = text.num_experts_per_tok * (2 * text.hidden_size + 3 * text.moe_intermediate_size // parallel)
    row = 4 * text.hidden_size + 2 * (queries + keys) + experts
    context = text.max_position_embeddings
    layer = size * CHUNK * (row + context) + 2 * size * context * queries + 4 * text.vocab_size
    tower = screenshots.patches * (size * (5 * vision.hidden_size + 2 * vision.out_hidden_size) + 16 * vision.hidden_size)
    return max(layer, tower)


def here() -> list[Machine]:
    """This machine's main memory, and its CUDA devices, taken to be all like the first."""
    import torch

    memory, count = psutil.virtual_memory().total, torch.cuda.device_count()
    found = [Machine(f"here: {memory / 2**30:.0f} GiB RAM", 1, memory, False)]
    if count:
        first = torch.cuda.get_device_properties(0)
        found.append(Machine(f"here: {count} × {first.name}", count, first.total_memory, True))
    return found
