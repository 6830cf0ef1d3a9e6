"""What a batch asks for, and where heads are taught to look for it."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.batches import BatchBuilder
from model.examples import Example, Question, Touched
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
from model.losses import looks
from model.tokens import Tokens
from model.trainer import TrainConfig, Trainer
from tests.model.screens import SIZES, examples


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> BatchBuilder:
    made = examples(tmp_path_factory.mktemp("screens"), 1)
    return Trainer.fresh((made, made), TrainConfig(), SIZES).builder


def test_what_is_typed_is_taught_from_the_question_where_it_stands_there_and_else_from_the_screen(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image
    word = Word("okclick", (10.0, 20.0, 30.0, 40.0, 60.0, 70.0, 80.0), 40.0)
    told = Question('Click "okclick" or okclick.', "type(content='okclick')")
    shown = Question("Click the box.", "type(content='okclick')", read=word)
    other = Question("Click the box.", "type(content='okclick')")
    made = [Example(image, (question,)) for question in (told, shown, other)]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    tokens, asked, _ = trainer.builder._tokens(told)
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


def test_a_piece_of_text_is_spelled_with_its_capitals() -> None:
    assert piece_letters("ab") == {0, 1, 36 + 0 * 37 + 1}
    assert piece_letters("aB") - piece_letters("ab") == {CAPITALS_FROM + 1}
    assert piece_letters("A") - piece_letters("a") == {CAPITALS_FROM}
    assert piece_letters('"') == set()


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


def test_a_thought_is_taught_from_the_screen_and_from_the_text_and_the_call_behind_it(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image  # four columns of cells
    box, call = (4.0, 4.0, 20.0, 20.0), "left_click(start_box='[120,300]')"
    thought = "# May 12 under 07 so 13h on\n"
    noted = ((2, Word("May", (60.0, 70.0, 80.0), 40.0)),)
    asked = Question("At 13h 07/12 on.", thought + call, (box,), sought="on", thought=thought, noted=noted)
    made = [Example(image, (asked,))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch, tokens = trainer.builder.build(made, random.Random(0)), Tokens(trainer.tokenizer.backend_tokenizer)
    ids = batch.ids[0].tolist()
    assert [tokens.decode([token]) for _, _, token in batch.kinds] == ["#", "left_click(start_box='"]
    assert "".join(tokens.decode([token]) for _, _, token in batch.read) == "May"
    before_call = batch.kinds[1][1]
    assert {index for _, index, _, _ in batch.sought} == {before_call, before_call + 1, before_call + 2}
    for _, index, keys in batch.sources:
        if keys[0] < batch.image_start + 12:  # of three rows of cells
            assert {key - batch.image_start for key in keys} == {6}
        else:
            assert {ids[key] for key in keys} == {ids[index + 1]}, "a number is taken from where it stands"
    taken = [ids[index + 1] for _, index, keys in batch.sources if keys[0] >= batch.image_start + 12]
    assert tokens.decode(taken) == "0713h", "12 is worked out from May, though it stands there"
    spoken = next(index for index, token in enumerate(ids) if token == batch.kinds[0][2] and index > batch.image_start)
    assert {index > spoken for _, _, named, _ in batch.sought for index in named} == {True}, "the last word of a thought is what is meant"


def test_what_follows_from_a_thought_is_no_copy_of_it(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image
    thought, call = "# 8 - 4 =\n", "type(content='4')"
    worked_out, copied = Question("Solve it.", thought + call, thought=thought), Question("Type 4.", call)
    made = [Example(image, (question,)) for question in (worked_out, copied)]
    batch = Trainer.fresh((made, made), TrainConfig(), SIZES).builder.build(made, random.Random(0))
    assert {row for row, *_ in batch.copied} == {1}


@given(across=st.floats(0.9, 1.1), down=st.floats(0.9, 1.1))
def test_of_a_screenshot_that_is_resized_the_same_is_learned(builder: BatchBuilder, across: float, down: float) -> None:
    """Of one that is no whole number of cells wide and high the rectangles and words move with its pixels."""
    with TemporaryDirectory() as folder:
        image = Path(folder) / "made.png"
        size = round(112 * across), round(84 * down)
        Image.new("RGB", size).save(image)
        width, height = builder.preprocessor.size(*size)
        x, y = size[0] / width, size[1] / height
        places, click = [], "left_click(start_box='[120,300]')"
        for by_x, by_y in ((1.0, 1.0), (x, y)):
            word = Word("ok", (20.0 * by_x, 30.0 * by_x), 17.0 * by_y)
            box = (30.0 * by_x, 29.0 * by_y, 55.0 * by_x, 55.0 * by_y)
            Image.new("RGB", (width, height) if by_x == by_y == 1 else size).save(image)
            question = Question("Click.", click, (box,), past=(Touched("", box),), evidence=box)
            batch = builder.build([Example(image, (question,), words=(word,))], random.Random(0))
            places.append((batch.size, batch.letters, batch.glyphs, [(p.cells, p.x, p.y, p.halves) for p in batch.points], batch.evidence))
        assert places[0] == places[1]


def test_what_tells_a_reply_is_looked_at_where_the_reply_is_decided_but_not_where_y_is(tmp_path: Path) -> None:
    image = examples(tmp_path, 1)[0].image  # four columns of cells
    click = Question("Odd?", "left_click(start_box='[120,300]')", ((4.0, 4.0, 20.0, 20.0),), evidence=(60.0, 30.0, 80.0, 50.0))
    typed = Question("How many?", "type(content='7')", evidence=(2.0, 2.0, 20.0, 20.0))
    made = [Example(image, (click, typed, Question("Done?", "DONE()")))]
    trainer = Trainer.fresh((made, made), TrainConfig(), SIZES)
    batch = trainer.builder.build(made, random.Random(0))
    (point,) = batch.points
    (kinds, layers) = [index for _, index, _ in batch.kinds], []
    for name, layer, found in looks(batch, 5):
        if name == "evidence":
            layers.append(layer)
            assert {look.head for look in found} == {1}
            seen = {look.index: [key - batch.image_start for key in look.keys] for look in found}
            assert (seen[kinds[0]], seen[point.index], seen[kinds[1]]) == ([6], [6], [0])
            assert point.index + 1 not in seen
            assert max(seen) < kinds[2], "nothing tells of the third"
    assert layers == [1, 2]
