import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from model.base import GenerationConfig, Message, ModelError
from model.batched import BatchedText, BatchedVision
from model.examples import Example, Question
from model.glm4v_moe import Glm4vMoe
from model.losses import Look, PlaceHead, attention_loss, box_loss, reading_losses, token_loss
from model.small import build_model, build_tokenizer, coordinate_tokens
from model.tokens import Tokens
from model.train import Progress, fit
from model.trainer import HEADS, STATE, TrainConfig, Trainer
from tests.model.screens import SIZES, examples


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = examples(tmp_path_factory.mktemp("screens"), 24)
    return Trainer.fresh((made[:16], made[16:]), TrainConfig(minutes=1, batch=4, warmup=5), SIZES)


def test_a_coordinate_is_one_token_and_a_call_reads_back_as_it_was() -> None:
    call = "left_drag(start_box='[7,305]', via='[[1,2],[3,4]]', end_box='[0,999]')"
    tokenizer = build_tokenizer(["Click here, please.", re.sub(r"[\[,]\d+", "", call)] * 9, 400)
    tokens = tokenizer.tokenize(call)
    assert (tokens[0], tokens[-1]) == ("left_drag(start_box='", "]')")
    assert [token for token in tokens if token[1:].isdigit()] == ["[7", ",305", "[1", ",2", "[3", ",4", "[0", ",999"]
    assert all(len(token) == 1 for token in tokens if token.strip("',=[]Ġ") == "" and token != "]')"), "signs are never merged"
    assert tokenizer.decode(tokenizer.encode(call)) == call
    for names in coordinate_tokens():
        assert all(tokenizer.tokenize(name) == [name] for name in names)


def test_a_piece_of_text_is_put_out_as_it_was_taken_in_from_the_first_step_on() -> None:
    tokenizer = build_tokenizer(["Enter Abigail", "type(content='"] * 9, 400)
    model = build_model(tokenizer, SIZES)
    pieces = torch.tensor([i for i in range(len(tokenizer)) if str(tokenizer.decode([i])).isalnum()])
    scores = model.lm_head(model.model.language_model.embed_tokens(pieces))
    assert (scores[:, pieces].argmax(-1) == torch.arange(len(pieces))).float().mean() > 0.99


def test_a_word_is_spelled_alike_wherever_it_stands() -> None:
    tokenizer = build_tokenizer(["Enter Abigail", "type(content='"] * 9, 400)
    word = tokenizer.tokenize("Abigail")
    assert all(len(piece) <= 2 for piece in word)
    for text in ("Enter Abigail now", 'Enter "Abigail"', "type(content='Abigail')", "(Abigail)"):
        pieces = tokenizer.tokenize(text)
        assert any(pieces[i : i + len(word)] == word for i in range(len(pieces))), pieces


def test_the_batched_forward_equals_the_library() -> None:
    model = build_model(build_tokenizer(["a"], 300), SIZES)
    rows, columns, images = 6, 8, 2
    frame = torch.randn(images, rows * columns, 588)
    doubled = frame.view(-1, 3, 1, 196).expand(-1, -1, 2, -1).reshape(-1, 1176)
    embedded, positions = torch.randn(2, 20, 64) * 0.3, torch.arange(20).expand(3, 2, -1)
    mask = torch.ones(20, 20, dtype=torch.bool).tril().expand(2, -1, -1)
    with torch.no_grad():
        features = model.model.get_image_features(doubled, torch.tensor([[1, rows, columns]] * images)).pooler_output
        assert (BatchedVision(model, (rows, columns))(frame) - torch.stack(list(features))).abs().max() < 1e-5
        expected = model.model.language_model(inputs_embeds=embedded, position_ids=positions).last_hidden_state
        chosen = torch.tensor([[1, 3, 9], [0, 2, 19]])
        hidden, (scores,), given = BatchedText(model)(embedded, positions, mask, [(0, chosen)])
        model.set_attn_implementation("eager")
        weights = model.model.language_model(inputs_embeds=embedded, position_ids=positions, output_attentions=True).attentions[0]
    assert (hidden - expected).abs().max() < 1e-5
    assert [state.shape for state in given] == [embedded.shape] * SIZES.layers
    assert (scores.softmax(-1) - torch.stack([weights[row, head, index] for row, head, index in chosen])).abs().max() < 1e-5


def test_every_question_of_a_batch_is_answered_as_if_asked_alone(trainer: Trainer) -> None:
    whole = trainer.examples[0]
    with torch.no_grad():
        together = trainer.builder.build([whole], random.Random(0))
        hidden = trainer.forward(together, trainer.see(together)[1])[0]
        for point, question in zip(together.points, trainer.builder._questions(whole, random.Random(0)), strict=True):
            alone = trainer.builder.build([Example(whole.image, (question,))], random.Random(0))
            expected = trainer.forward(alone, trainer.see(alone)[1])[0][0, alone.points[0].index]
            assert (hidden[0, point.index] - expected).abs().max() < 1e-5


def test_the_model_in_training_sees_what_the_model_in_use_sees(trainer: Trainer) -> None:
    example = trainer.examples[0]
    tokens = Tokens(trainer.tokenizer.backend_tokenizer)
    used = Glm4vMoe(trainer.model, tokens, trainer.builder.preprocessor, "small")
    message = Message("user", (Image.open(example.image), example.questions[0].text))
    reply = used.generate([message], GenerationConfig(max_tokens=1))
    with torch.no_grad():
        batch = trainer.builder.build([Example(example.image, example.questions)], random.Random(0))
        first = batch.kinds[0]
        hidden = trainer.forward(batch, trainer.see(batch)[1])[0][first[0], first[1]]
    assert reply.token_ids == (int(trainer.model.lm_head(hidden).argmax()),)


def test_a_screen_whose_words_are_unknown_teaches_no_letters_and_changes_nothing_of_what_others_teach(
    trainer: Trainer, tmp_path: Path
) -> None:
    made = examples(tmp_path, 3)
    wider = tmp_path / "wider.png"
    Image.open(made[2].image).resize((120, 84)).save(wider)
    unknown = [*(replace(one, words=None) for one in made), Example(wider, made[2].questions)]

    def losses(some: list[Example]) -> dict[str, float]:
        batch = trainer.builder.build(some, random.Random(0))
        with torch.no_grad():
            found = reading_losses(trainer.see(batch), trainer.model.model.language_model.embed_tokens.weight, batch, trainer.heads)
        return {name: float(loss) for name, loss in found.items()}

    known, mixed = losses(made[:2]), losses([unknown[2], *made[:2], unknown[3]])
    for name in ("letters", "glyphs"):
        assert mixed[name] == pytest.approx(known[name], rel=1e-5)
        assert losses([made[0], replace(made[1], words=())])[name] != pytest.approx(known[name], rel=1e-5), "nothing is written there"
    assert set(losses(unknown)) == {"places", "spelling"}
    learning = Trainer.fresh((unknown, unknown), TrainConfig(batch=2, reading_minutes=1), SIZES)
    assert set(learning.train_step()) == {"places", "spelling"}
    assert learning.validate()["letters"] == (0, 0)


def test_the_first_minutes_train_the_tower_alone(tmp_path: Path) -> None:
    made = examples(tmp_path, 6)
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2, reading_minutes=1), SIZES)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    assert set(trainer.train_step()) == {"glyphs", "letters", "places", "spelling"}
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert all("visual" in name or "embed_tokens" in name for name in moved)
    trainer.seconds = 61.0
    assert {"x", "y", "kinds"} < set(trainer.train_step())


def test_training_lowers_every_loss_that_can_be_learned_in_seconds(trainer: Trainer) -> None:
    first = trainer.train_step()
    for _ in range(60):
        last = trainer.train_step()
    assert last["tokens"] < first["tokens"] / 2
    assert last["letters"] < first["letters"] / 2
    assert last["x"] + last["y"] < first["x"] + first["y"]


def test_tasks_are_drawn_alike_however_many_steps_they_have_and_pages_have_their_share(tmp_path: Path) -> None:
    ((image, question),) = [(e.image, e.questions[0]) for e in examples(tmp_path, 1)]
    long = [Example(image, (question,), task="long") for _ in range(90)]
    made = [*long, Example(image, (question,), task="short"), Example(image, (), examples(tmp_path, 1)[0].readings)]
    trainer = Trainer.fresh((made, made), TrainConfig(batch=1000), SIZES)
    drawn = Counter(made[i].task or "page" for i in trainer._next())
    assert 180 < drawn["page"] < 320
    assert abs(drawn["long"] - drawn["short"]) < 120
    more = Trainer.fresh((made, made), TrainConfig(batch=1000, often=("short",)), SIZES)
    drawn = Counter(made[i].task or "page" for i in more._next())
    assert 3 < drawn["short"] / drawn["long"] < 5.5
    with pytest.raises(ModelError, match="no example of shrt"):
        Trainer.fresh((made, made), TrainConfig(often=("shrt",)), SIZES)


def test_a_checkpoint_loads_like_any_other_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    made = examples(tmp_path, 6)
    out = tmp_path / "out"
    reports: list[Progress] = []
    config = TrainConfig(minutes=0.02, batch=2, save_minutes=0.01)
    trainer = Trainer.fresh((made, made), config, SIZES)
    trainer.train_step()
    trainer.seconds = 0.3
    trainer.save(out, {"prompt": "compact"})
    again = Trainer.resume((made, made), config, out)
    assert (again.step, again.seconds, again.queue) == (1, 0.3, trainer.queue)
    assert again.train_step() == trainer.train_step()
    loaded = Glm4vMoe.load(out)
    message = Message("user", (Image.open(made[0].image), "Click the box."))
    assert loaded.generate([message], GenerationConfig(max_tokens=4)).completion_tokens > 0
    assert json.loads((out / "config.json").read_text())["glimpse"] == {"point_smoothing": 25, "prompt": "compact"}
    fit((made[:4], made[4:]), out, config, reports.append)  # other examples, the same model
    assert reports[-1].step > 1
    older = torch.load(out / STATE, weights_only=True)
    del older["optimisers"]
    torch.save(older, out / STATE)
    with pytest.raises(ModelError, match=r"older version.*--from"):
        fit((made, made), out, config, reports.append)
    (out / STATE).write_bytes((out / STATE).read_bytes()[:-1000])
    with pytest.raises(ModelError, match="is damaged"):
        fit((made, made), out, config, reports.append)


def test_a_training_that_diverges_leaves_what_was_saved_before_and_goes_on_from_it_with_a_lower_rate(tmp_path: Path) -> None:
    made, out, reports = examples(tmp_path, 6), tmp_path / "out", list[Progress]()
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2), SIZES)
    trainer.train_step()
    trainer.save(out, {})
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(ModelError, match=r"is (inf|nan) at step \d+: lower the learning rate \(now 1000000.0\)"):
        fit((made, made), out, TrainConfig(batch=2, rate=1e6, warmup=1), reports.append)
    assert {file.name: file.read_bytes() for file in out.iterdir() if file.name in before} == before
    state = torch.load(out / STATE, weights_only=True)
    assert all(value.isfinite().all() for value in (*state["model"].values(), *load_file(out / "model.safetensors").values()))
    fit((made, made), out, TrainConfig(minutes=0.02, batch=2), reports.append)
    assert reports[-1].step > 1


def test_a_gradient_that_is_no_number_moves_nothing(tmp_path: Path) -> None:
    made = examples(tmp_path, 4)
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2), SIZES)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    spoiled = trainer.model.lm_head.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(ModelError, match=r"norm of the gradient is (inf|nan) at step 0"):
        trainer.train_step()
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
    spoiled.remove()
    assert math.isfinite(sum(trainer.train_step().values()))


def test_a_deepened_checkpoint_says_what_it_said_and_all_of_it_learns(tmp_path: Path) -> None:
    made = examples(tmp_path, 6)
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2), SIZES)
    trainer.save(tmp_path / "out", {})
    grown, same = (Trainer.begin((made, made), TrainConfig(batch=2, deepen=more), tmp_path / "out") for more in (2, 0))
    assert len(grown.text.text.layers) == len(same.text.text.layers) + 2
    batch = same.builder.build(made[:2], random.Random(0))
    with torch.no_grad():
        before, after = (one.forward(batch, one.see(batch)[1])[0] for one in (same, grown))
    assert torch.equal(before, after)
    weights = {name: value.clone() for name, value in grown.model.named_parameters()}
    for _ in range(3):
        grown.train_step()
    still = [name for name, value in grown.model.named_parameters() if torch.equal(value, weights[name])]
    assert not [name for name in still if "layers.0." in name or "layers.1." in name]
    grown.save(tmp_path / "grown", {})
    assert (
        Glm4vMoe.load(tmp_path / "grown")
        .generate([Message("user", (Image.open(made[0].image), "Click the box."))], GenerationConfig(max_tokens=4))
        .token_ids
    )


def test_what_a_cell_says_of_its_place_tells_all_places_apart() -> None:
    codes = PlaceHead.codes(9, 12)
    apart = torch.cdist(codes, codes) + 10 * torch.eye(9 * 12)
    assert codes.shape == (9 * 12, 16)
    assert apart.min() > 0.5


def test_attention_that_is_to_be_spread_is_best_when_it_is_even() -> None:
    even, uneven = torch.tensor([[0.0, 0.0, -50.0]]), torch.tensor([[9.0, 0.0, -50.0]])
    wanted = [Look(0, 0, 0, [0, 1])]
    assert attention_loss(even, wanted, spread=True) == pytest.approx(math.log(2))
    assert attention_loss(uneven, wanted, spread=True) > 2
    assert attention_loss(uneven, wanted) == pytest.approx(0, abs=1e-5)


def test_nothing_to_train_on_is_said_in_one_line(tmp_path: Path) -> None:
    made = examples(tmp_path, 2)
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    with pytest.raises(ModelError, match="All 2 examples are held out"):
        Trainer(([], made), TrainConfig(), trainer.model, trainer.tokenizer)


def test_what_is_held_out_may_have_no_place_to_click(tmp_path: Path) -> None:
    made = examples(tmp_path, 2)
    typed = [Example(made[0].image, (Question("Type ok.", "type(content='ok')", tag="box"),))]
    found = Trainer.fresh(([*made, *typed], typed), TrainConfig(), SIZES).validate()
    assert found["copied"][1] >= 1
    assert "box" not in found


def test_a_head_of_fewer_labels_is_taken_over_as_far_as_it_goes(tmp_path: Path) -> None:
    made = examples(tmp_path, 4)
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2), SIZES)
    trainer.save(tmp_path / "out", {})
    heads = load_file(tmp_path / "out" / HEADS)
    save_file({name: value[:100].clone() for name, value in heads.items() if "letters" in name}, tmp_path / "out" / HEADS)
    again = Trainer.begin((made, made), TrainConfig(batch=2, seed=1), tmp_path / "out")
    kept, begun = again.heads.letters.weight, trainer.heads.letters.weight
    assert (kept[:100] - begun[:100]).abs().max() < 1e-3
    assert (kept[100:] - begun[100:]).abs().max() > 1e-2
    assert math.isfinite(again.train_step()["letters"])


def test_a_question_that_weighs_three_counts_as_three_questions() -> None:
    torch.manual_seed(0)
    hidden, head, ranges = torch.randn(1, 3, 8), torch.randn(40, 8), [(0, 3), (5, 9), (2, 2)]
    labels, often = [(0, 0, 7), (0, 1, 8), (0, 2, 9)], [0, 1, 1, 1, 2]
    assert torch.allclose(token_loss(hidden, head, labels, [1.0, 3.0, 1.0]), token_loss(hidden, head, [labels[i] for i in often]))
    once = box_loss(hidden[0], head, range(20, 30), ranges, torch.tensor([1.0, 3.0, 1.0]))
    assert torch.allclose(once, box_loss(hidden[0, often], head, range(20, 30), [ranges[i] for i in often], torch.ones(5)))
