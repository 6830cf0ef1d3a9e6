import json
import math
import random
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from model.base import GenerationConfig, Message, ModelError
from model.batched import BatchedText, BatchedVision
from model.examples import Example, Question, Touched
from model.glm4v_moe import Glm4vMoe
from model.labels import (
    CAPITALS_FROM,
    LETTERS,
    Word,
    allowed_thousandths,
    glyph_labels,
    half_cells,
    letter_labels,
    piece_letters,
    target_cells,
)
from model.losses import Look, PlaceHead, attention_loss, box_loss, looks, token_loss
from model.small import SmallConfig, build_model, build_tokenizer, coordinate_tokens
from model.tokens import Tokens
from model.train import Progress, fit
from model.trainer import LETTERS as LETTERS_FILE
from model.trainer import STATE, TrainConfig, Trainer

SIZES = SmallConfig(hidden=64, layers=3, heads=4, kv_heads=2, experts=4, expert_width=32, vision_hidden=64, vision_depth=2)


def examples(folder: Path, count: int) -> list[Example]:
    """Screenshots of 112×84 pixels with one red box on them, and where it is."""
    made, rng = [], random.Random(1)
    for i in range(count):
        left, top = rng.randrange(0, 80), rng.randrange(0, 56)
        image = Image.new("RGB", (112, 84), "white")
        ImageDraw.Draw(image).rectangle((left, top, left + 28, top + 24), fill="red")
        image.save(folder / f"{i}.png")
        point = f"[{(left + 14) * 1000 // 112},{(top + 12) * 1000 // 84}]"
        question = Question("Click the box.", f"left_click(start_box='{point}')", ((left, top, left + 28, top + 24),), "box")
        readings = tuple(Question(f'find "{word}"', f"left_click(start_box='{point}')", question.targets, "find") for word in ("ok", "no"))
        made.append(Example(folder / f"{i}.png", (question,), readings, (Word("ok", (20.0, 30.0), 14.0),), "box"))
    return made


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


def test_what_is_typed_is_taught_from_the_question_where_it_stands_there_and_else_from_the_screen(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image
    word = Word("okclick", (10.0, 20.0, 30.0, 40.0, 60.0, 70.0, 80.0), 40.0)
    told = Question('Click "okclick" or okclick.', "type(content='okclick')")
    shown = Question("Click the box.", "type(content='okclick')", read=word)
    other = Question("Click the box.", "type(content='okclick')")
    made = [Example(image, (question,)) for question in (told, shown, other)]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    tokens, asked = trainer.builder._tokens(told)
    spelled = tokens[asked + 1 : -3]
    assert Tokens(trainer.tokenizer.backend_tokenizer).decode(spelled) == "okclick"
    for name, row, labels in (("copied", 0, batch.copied), ("read", 1, batch.read)):
        assert [label for label in labels if label[0] == row] == labels, name
        assert [token for _, _, token in labels] == spelled, name
    assert len([row for row, *_ in batch.text if row == 2]) == len(spelled) + 3
    copied = [(index, keys) for row, index, keys in batch.sources if row == 0]
    for (index, keys), token in zip(copied, spelled, strict=True):
        assert len(keys) == 2
        assert {int(batch.ids[0, key]) for key in (*keys, index + 1)} == {token}
    columns, seen = 4, [keys for row, _, keys in batch.sources if row == 1]
    assert sorted({key - batch.image_start for keys in seen for key in keys}) == [columns, columns + 1, columns + 2]
    for layer, head, wanted in ((1, 3, len(set(batch.repeated))), (2, 2, len(batch.sources))):
        ((found,),) = [[taught for name, at, taught in looks(batch, 3) if name == "sources" and at == layer]]
        assert [look.head for look in found] == [head] * wanted


@pytest.mark.parametrize(
    ("told", "typed", "spelled"),
    [("Enter 10/2/17 today.", "10217", "10217"), ('Type "ok" loudly.', "OK", "ok"), ("At 7:55 PM, please.", "7:55PM", "7:55PM")],
)
def test_what_is_typed_in_capitals_or_without_its_signs_is_still_taken_from_the_question(
    tmp_path: Path, told: str, typed: str, spelled: str
) -> None:
    image = examples(tmp_path, 1)[0].image
    made = [Example(image, (Question(told, f"type(content='{typed}')"),))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    says = Tokens(trainer.tokenizer.backend_tokenizer)
    assert "".join(says.decode([int(batch.ids[0, key]) for key in keys]) for _, _, keys in batch.sources) == spelled
    assert not batch.read
    assert len(batch.copied) == len(batch.sources)
    behind = [(index, earlier) for _, index, earlier in sorted(batch.repeated)]
    assert all(earlier < index for index, earlier in behind)
    assert [earlier for _, earlier in behind[1:]] == [index for index, _ in behind[:-1]], "signs between letters are passed over"


def test_a_letter_is_labelled_in_the_half_of_the_patch_that_holds_its_centre() -> None:
    words = [Word("a-Z", (3.0, 12.0, 30.0), 20.0), Word("9", (3.0,), 2.0), Word("x", (300.0,), 2.0)]
    rows, columns = 4, 6
    merged = {(0, 0): 0, (1, 0): 2, (1, 2): 6}  # patches by row and column: those of a 2×2 block stand together
    assert glyph_labels(words, columns, rows) == {
        (merged[1, 0], 0, LETTERS.index("a")), (merged[1, 0], 1, len(LETTERS)), (merged[1, 2], 0, LETTERS.index("z")),
        (merged[0, 0], 0, LETTERS.index("9")),
    }  # fmt: skip


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


def test_targets_of_any_place_and_size_have_a_thousandth_and_a_cell() -> None:
    assert allowed_thousandths(0, 0, 100) == (0, 0)
    assert allowed_thousandths(100, 100, 100) == (999, 999)
    assert allowed_thousandths(20, 30, 100) == (220, 280)
    assert target_cells((0, 0, 1, 1), 4, 3) == [0]
    assert target_cells((27, 27, 29, 29), 4, 3) == [5]
    assert target_cells((10, 0, 50, 27), 4, 3) == [0, 1]


def test_a_target_fills_the_halves_of_cells_that_it_covers_or_the_one_under_its_centre() -> None:
    assert half_cells((0, 0, 28, 14), 4, 3) == ([0], [])
    assert half_cells((0, 2, 28, 26), 4, 3) == ([0], [0])
    assert half_cells((0, 5, 28, 26), 4, 3) == ([], [0])
    assert half_cells((20, 0, 60, 50), 4, 3) == ([0, 1, 4, 5], [0, 1])
    assert half_cells((30, 20, 32, 22), 4, 3) == ([], [1])
    assert half_cells((90, 80, 400, 400), 4, 3) == ([], [11])


def test_every_cell_that_holds_a_letter_of_a_word_tells_the_whole_word() -> None:
    words = [Word("Ab", (27.0, 29.0), 5.0), Word("9", (3.0,), 15.0), Word("off", (-9.0, 300.0, 310.0), 5.0)]
    labels = letter_labels(words, 4, 3)
    assert labels == {
        *((cell, 0, label) for cell in (0, 1) for label in piece_letters("Ab")),
        *((0, 1, label) for label in piece_letters("9")),
    }


def test_where_a_place_is_decided_two_layers_are_taught_to_look_at_every_piece_that_names_it(tmp_path: Path) -> None:
    image, readings = examples(tmp_path, 1)[0].image, (Question('find "okclick"', "DONE()", (), "absent", sought="okclick"),)
    named = Question('Click "okclick", please.', "left_click(start_box='[120,300]')", ((5.0, 5.0, 20.0, 20.0),), sought='"okclick",')
    other = Question("Click it.", "left_click(start_box='[120,300]')", ((5.0, 5.0, 20.0, 20.0),), sought="gone")
    made = [Example(image, (named,), readings), Example(image, (other,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    tokens, batch = Tokens(trainer.tokenizer.backend_tokenizer), trainer.builder.build(made, random.Random(0))
    assert [row for row, *_ in batch.sought] == [0, 0, 0, 0]  # reply, x and y of the click; the reply that nothing is there
    for _, index, keys, labels in batch.sought:
        assert tokens.decode([int(batch.ids[0, key]) for key in keys]) == "okclick"
        assert max(keys) < index
        assert labels >= {LETTERS.index(letter) for letter in "okclick"}
    assert {index for _, index, *_ in batch.sought} >= {batch.points[0].index, batch.points[0].index + 1}
    taught = [(layer, found) for name, layer, found in looks(batch, 5) if name == "named"]
    assert [(layer, len(found), {look.head for look in found}) for layer, found in taught] == [(0, 4, {2}), (1, 4, {2}), (2, 4, {2})]


def test_a_point_of_the_history_looks_at_its_cell_and_at_the_words_that_name_it_or_away_when_it_missed(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image  # 112×84 pixels: four columns of cells, three rows
    text = "Click okclick, in [5,6], then no.\nleft_click(start_box='[120,900]')\ntype(content='ok')\nleft_click(start_box='[990,10]')"
    question = Question(
        text, "left_click(start_box='[120,300]')", ((5.0, 5.0, 20.0, 20.0),), sought="no", past=(Touched("okclick"), Touched())
    )
    made = [Example(image, (question,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    tokens, batch = Tokens(trainer.tokenizer.backend_tokenizer), trainer.builder.build(made, random.Random(0))
    points = [tokens.decode(batch.ids[0, index - 1 : index + 1].tolist()) for _, index, _ in batch.past_points]
    assert points == ["[5,6", "[120,900", "[990,10"]
    assert [[key - batch.image_start for key in keys] for _, _, keys in batch.past_points] == [[0], [8], [3]]
    past = {index: tokens.decode([int(batch.ids[0, key]) for key in keys]) for _, index, keys in batch.past_words}
    assert past == {batch.past_points[1][1]: "okclick", batch.past_points[2][1]: ""}
    taught = [(name, layer, [(look.head, look.index, list(look.keys)) for look in found]) for name, layer, found in looks(batch, 7)]
    ((_, _, joined), (_, _, touched)) = [one for one in taught if one[0] == "history"]
    assert joined == [(3, index, [index - 1]) for _, index, _ in batch.past_points]
    assert touched == [(0, index, keys) for _, index, keys in batch.past_points]
    (linked,) = [found for name, layer, found in taught if name == "named" and layer == 2 and len(found) == len(past)]
    assert [keys == [batch.image_start - 1] for _, _, keys in linked] == [not past[index] for _, index, _ in linked]
    assert not [name for name, _, _ in looks(batch, 5) if name == "history"]


def test_a_point_of_the_history_is_drawn_anew_in_the_rectangle_it_was_in_and_stays_where_it_missed(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image  # 112×84 pixels: four columns of cells, three rows
    text = "Go.\nleft_click(start_box='[250,500]')\nleft_click(start_box='[990,10]')"
    question = Question(text, "DONE()", past=(Touched("Go", (0.0, 0.0, 56.0, 84.0)), Touched()))
    made = [Example(image, (question,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    tokens, rng, seen = Tokens(trainer.tokenizer.backend_tokenizer), random.Random(0), set()
    for _ in range(30):
        batch = trainer.builder.build(made, rng)
        hit, missed = (tokens.decode(batch.ids[0, index - 1 : index + 1].tolist()) for _, index, _ in batch.past_points)
        x, y = (int(number) for number in hit.strip("[").split(","))
        assert 100 <= x <= 400
        assert 200 <= y <= 800
        assert missed == "[990,10"
        assert batch.past_points[0][2] == [batch.image_start + y * 3 // 1000 * 4 + x * 4 // 1000]
        seen.add((x, y))
    assert len(seen) > 20


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


def test_where_y_is_decided_a_head_looks_at_each_half_of_a_cell_and_away_when_nothing_is_there(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image
    question = Question("Click it.", "left_click(start_box='[120,300]')", ((30.0, 0.0, 50.0, 14.0),))
    made = [Example(image, (question,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    (point,) = batch.points
    for layer in (2, 3):
        ((found,),) = [[taught for name, at, taught in looks(batch, 5) if name == "halves" and at == layer]]
        upper, lower = found
        assert (upper.head, upper.index, list(upper.keys)) == (3, point.index + 1, [batch.image_start + 1])
        assert (lower.head, lower.index, list(lower.keys)) == (0, point.index + 1, [batch.image_start - 1])


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


def test_a_piece_of_text_is_spelled_with_its_capitals() -> None:
    assert piece_letters("ab") == {0, 1, 36 + 0 * 37 + 1}
    assert piece_letters("aB") - piece_letters("ab") == {CAPITALS_FROM + 1}
    assert piece_letters("A") - piece_letters("a") == {CAPITALS_FROM}
    assert piece_letters('"') == set()


def test_a_head_of_fewer_labels_is_taken_over_as_far_as_it_goes(tmp_path: Path) -> None:
    made = examples(tmp_path, 4)
    trainer = Trainer.fresh((made, made), TrainConfig(batch=2), SIZES)
    trainer.save(tmp_path / "out", {})
    heads = load_file(tmp_path / "out" / LETTERS_FILE)
    save_file({name: value[:100].clone() for name, value in heads.items() if "letters" in name}, tmp_path / "out" / LETTERS_FILE)
    again = Trainer.begin((made, made), TrainConfig(batch=2, seed=1), tmp_path / "out")
    kept, begun = again.heads.letters.weight, trainer.heads.letters.weight
    assert (kept[:100] - begun[:100]).abs().max() < 1e-3
    assert (kept[100:] - begun[100:]).abs().max() > 1e-2
    assert math.isfinite(again.train_step()["letters"])


def test_what_is_named_by_words_beside_it_is_found_across_by_its_look_and_down_by_the_words(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image  # 112×84 pixels: four columns of cells, three rows
    bin_, name = (90.0, 32.0, 104.0, 50.0), (2.0, 30.0, 20.0, 40.0)
    question = Question(
        "Delete ok.", "left_drag(start_box='[866,500]', end_box='[80,80]')", (bin_, (4, 4, 9, 9)), sought="ok.", beside=name
    )
    made = [Example(image, (question,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    found = [(name, look) for name, layer, some in looks(batch, 5) if layer == 2 for look in some]
    first = batch.points[0].index
    cells = {
        (name, look.index - first, look.head): [key - batch.image_start for key in look.keys] for name, look in found if name != "named"
    }
    assert cells["attention", 0, 0] == [7]
    assert cells["attention", 1, 1] == [4]
    assert (cells["halves", 1, 3], cells["halves", 1, 0]) == ([4], [-1])
    assert {tuple(keys) for (_, at, _), keys in cells.items() if at > 1} == {(0,), (-1,)}, "only the first point is named"


def test_a_question_that_weighs_three_counts_as_three_questions() -> None:
    torch.manual_seed(0)
    hidden, head, ranges = torch.randn(1, 3, 8), torch.randn(40, 8), [(0, 3), (5, 9), (2, 2)]
    labels, often = [(0, 0, 7), (0, 1, 8), (0, 2, 9)], [0, 1, 1, 1, 2]
    assert torch.allclose(token_loss(hidden, head, labels, [1.0, 3.0, 1.0]), token_loss(hidden, head, [labels[i] for i in often]))
    once = box_loss(hidden[0], head, range(20, 30), ranges, torch.tensor([1.0, 3.0, 1.0]))
    assert torch.allclose(once, box_loss(hidden[0, often], head, range(20, 30), [ranges[i] for i in often], torch.ones(5)))
