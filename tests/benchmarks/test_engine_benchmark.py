"""What the benchmark of the engine rests on: its arithmetic, its checkpoints, and that both sides read the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkpoints import Geometry, words, write
from benchmarks.limit import Machine, Work
from benchmarks.report import MARKS, replaced
from benchmarks.trajectory import PATCHES, SIZE, Episode, screenshot

TINY = Geometry(64, 3, 4, 2, 128, 8, 2, 32, 48, 2, 4, 96, head_dim=32, context=4096)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.set_num_threads(1)  # two threads would only wait for each other
    path = tmp_path_factory.mktemp("benchmark") / "tiny"
    write(TINY, path)
    return path


def counted(model: Any, run: Any) -> int:
    """FLOPs of matrix products and convolutions as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        run(model)
    return int(counter.get_total_flops())


def test_the_arithmetic_of_the_limit_is_what_torch_counts(folder: Path) -> None:
    """Apart from what the limit leaves out on purpose: a still's second frame, and attention to what comes later."""
    import torch
    from transformers import DynamicCache, Glm4vMoeForConditionalGeneration

    kind: Any = Glm4vMoeForConditionalGeneration
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
    work, patches, new = Work.of(folder), 64, 100
    frames = counted(model, lambda m: m.model.get_image_features(torch.zeros(patches, 1176), torch.tensor([[1, 8, 8]])))
    assert frames - 2 * patches * 588 * TINY.vision_hidden == pytest.approx(work.see(patches), rel=0.01)
    cache, places = DynamicCache(config=model.config.get_text_config(decoder=True)), torch.arange(new + 1).expand(3, 1, -1)

    def feed(start: int, end: int) -> Any:
        ids = torch.arange(start, end)[None]
        options: Any = {"position_ids": places[..., start:end], "past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
        return lambda m: m(input_ids=ids, **options)

    later = 4 * work.heads * work.layers * new * (new - 1) / 2
    assert counted(model, feed(0, new)) - later == pytest.approx(work.read(new, 0), rel=0.01)
    assert counted(model, feed(new, new + 1)) == pytest.approx(work.write(new)[0], rel=0.01)


def test_parameters_and_bytes_are_those_of_the_checkpoint(folder: Path) -> None:
    import torch
    from transformers import Glm4vMoeForConditionalGeneration

    kind: Any = Glm4vMoeForConditionalGeneration
    model, work = kind.from_pretrained(folder, dtype=torch.float32), Work.of(folder)
    buffers = sum(buffer.numel() for name, buffer in model.named_buffers() if name.endswith("e_score_correction_bias"))
    assert work.parameters == sum(parameter.numel() for parameter in model.parameters()) + buffers
    everything = work.body(TINY.experts) + work.head + TINY.hidden * work.text["vocab_size"]
    text = sum(p.numel() for name, p in model.named_parameters() if "visual" not in name and p.dim() > 1)
    assert everything == text


def test_four_at_once_share_nothing_but_the_reading_of_weights() -> None:
    text = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "hidden_size": 16, "vocab_size": 100}
    text |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 8, "intermediate_size": 32}
    work = Work(text | {"first_k_dense_replace": 1}, {}, 0)
    (flops, size), (flops_4, size_4) = work.write(50), work.write(50, together=4)
    assert flops_4 == 4 * flops
    assert size < size_4 < 4 * size
    assert Machine(1e9, 1e9, {"a": 1e9}, {"b": 1e9}).better(Machine(2e9, 1.0, {"a": 2e9}, {"b": 1.0})).flops == 2e9


def test_both_sides_are_told_the_same_and_every_reply_is_as_long_as_it_may_be(folder: Path) -> None:
    from benchmarks.plain import PlainTransformers
    from model import load_model

    ours, plain = load_model(folder), PlainTransformers(folder)
    one, other = Episode(1), Episode(1)
    one.run(ours, 3)
    other.run(plain, 3)
    for mine, theirs in zip(one.turns, other.turns, strict=True):
        assert mine.completion.token_ids == theirs.completion.token_ids
        assert mine.completion.prompt_tokens == theirs.completion.prompt_tokens
        assert ours.tokens.encode(mine.completion.content) == list(mine.completion.token_ids)
    assert one.turns[2].completion.content != one.turns[1].completion.content


def test_the_template_for_servers_writes_what_the_model_package_writes(folder: Path) -> None:
    from transformers import AutoTokenizer

    from model.base import GenerationConfig, Message
    from model.tokens import Tokens, assemble

    auto: Any = AutoTokenizer
    episode = Episode(2)
    episode.messages += [Message("assistant", ("412305",)), Message("tool", (words(9, 5), screenshot(2, 1)))]
    spoken = [
        {"role": m.role, "content": [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in m.content]}
        for m in episode.messages
    ]
    text = auto.from_pretrained(folder).apply_chat_template(spoken, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    tokens = Tokens.load(folder)
    prompt = assemble(episode.messages, GenerationConfig(), tokens, lambda image: (1, 2, 2))
    assert tokens.encode_trusted(text) == prompt.ids


def test_a_screenshot_is_as_large_as_the_limit_counts_it() -> None:
    assert SIZE[0] % 28 == SIZE[1] % 28 == 0
    assert SIZE[0] * SIZE[1] // 14**2 == PATCHES
    assert screenshot(1, 0).size == SIZE
    assert screenshot(1, 0).tobytes() != screenshot(1, 1).tobytes()


def test_a_page_keeps_all_but_what_was_measured() -> None:
    page = f"# Title\n\n{MARKS[0]}\nold\n{MARKS[1]}\n\nThe end.\n"
    assert replaced(page, "new\n") == f"# Title\n\n{MARKS[0]}\n\nnew\n\n{MARKS[1]}\n\nThe end.\n"
    assert replaced(replaced(page, "new\n"), "new\n") == replaced(page, "new\n")
