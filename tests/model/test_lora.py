"""Adapters: they learn, the base stays as it was, and what is loaded again answers as what was trained."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from model import load_model
from model.adapter import ADAPTER
from model.base import GenerationConfig, Message, ModelError
from model.examples import Lesson
from model.glm4v_moe import Glm4vMoe
from model.lora import LoraConfig, LoraTrainer, fit_lora
from model.small import SmallConfig, build_model, build_tokenizer, save_checkpoint

SIZES = SmallConfig(hidden=64, layers=3, heads=4, kv_heads=2, experts=4, expert_width=32, vision_hidden=64, vision_depth=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = build_tokenizer(["Which colour is it? red blue left_click(start_box='"] * 9, 400)
    model = build_model(tokenizer, SIZES)
    with torch.no_grad():
        model.lm_head.weight *= 20  # of a random model even the likeliest token is unlikely, whatever its layers say
    save_checkpoint(model, tokenizer, str(folder), {"prompt": "compact"})
    return folder


def lessons() -> list[Lesson]:
    """Which of two colours a screenshot has."""
    made, config = [], GenerationConfig()
    for colour in ("red", "blue") * 4:
        message = Message("user", (Image.new("RGB", (84, 56), colour), "Which colour is it?"))
        made.append(Lesson((message,), config, colour))
    random.Random(0).shuffle(made)
    return made


def test_adapters_learn_and_come_back_from_disk_as_they_were_trained(base: Path, tmp_path: Path) -> None:
    loaded = Glm4vMoe.load(base)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    trainer = LoraTrainer(loaded.model, loaded.tokens, loaded.preprocessor, LoraConfig(rank=8, rate=2e-2, batch=4, epochs=30))
    told: list[float] = []
    fit_lora(trainer, lessons(), lambda progress: told.append(progress.losses["reply"]))
    assert len(told) == 60
    assert told[-1] < told[0] / 10
    trained = {name.replace(".base_layer", ""): value for name, value in loaded.model.state_dict().items() if "lora_" not in name}
    assert all(torch.equal(value, before[name]) for name, value in trained.items()), "the base's weights were changed"
    trainer.save(tmp_path / "adapter", str(base), {"prompt": "compact"})
    again = Glm4vMoe.load(tmp_path / "adapter")
    assert again.settings["prompt"] == "compact"
    for lesson in lessons()[:4]:
        assert again.generate(lesson.messages, GenerationConfig(max_tokens=8)).content == lesson.reply


def test_a_lesson_is_read_as_the_model_in_use_reads_its_prompt_and_its_reply(base: Path) -> None:
    loaded = Glm4vMoe.load(base)
    lesson = lessons()[0]
    said = loaded.generate(lesson.messages, GenerationConfig(max_tokens=6, temperature=1.0, seed=1, logprobs=True))
    reply = loaded.tokens.decode(said.token_ids)
    trainer = LoraTrainer(loaded.model, loaded.tokens, loaded.preprocessor, LoraConfig())
    with torch.no_grad():
        losses = trainer.token_losses(replace(lesson, reply=reply))
    assert len(set(said.token_ids)) > 1, "tokens that are all alike tell no place from another"
    assert losses[:-1].tolist() == pytest.approx([-one for one in said.logprobs], abs=1e-4)


def test_an_adapter_of_the_embedded_checkpoint_finds_its_base_by_name(tmp_path: Path) -> None:
    loaded = load_model("tiny")
    LoraTrainer(loaded.model, loaded.tokens, loaded.preprocessor, LoraConfig(rank=2)).save(tmp_path, "tiny", dict(loaded.settings))
    again = load_model(tmp_path)
    assert again.settings == loaded.settings
    assert again.generate(lessons()[0].messages, GenerationConfig(max_tokens=4)).completion_tokens > 0


def test_an_adapter_that_is_damaged_or_of_another_model_is_named(base: Path, tmp_path: Path) -> None:
    loaded = Glm4vMoe.load(base)
    trainer = LoraTrainer(loaded.model, loaded.tokens, loaded.preprocessor, LoraConfig(rank=2))
    trainer.save(tmp_path, str(base), {})
    (tmp_path / ADAPTER).write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        Glm4vMoe.load(tmp_path)
    trainer.save(tmp_path, str(base), {})
    spec = json.loads((tmp_path / ADAPTER).read_text())
    (tmp_path / ADAPTER).write_text(json.dumps({**spec, "r": 3}))
    with pytest.raises(ModelError, match="does not fit its base"):
        Glm4vMoe.load(tmp_path)
