import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evals.base import EvalError
from evals.episode import Episode
from evals.folder import JUDGEMENTS, RESPONSES, RUN, SUMMARY, read_about, read_episodes
from evals.grounding import ask
from evals.grounding.responses import Response, answered_before, matched, read_responses
from evals.grounding.run import evaluate
from evals.grounding.stages import infer, judge, metric
from model.scripted import ScriptedModel
from tests.evals.grounding_data import Pointer, benchmark

HIT, MISS = "[200,300]", "[900,900]"


def responses(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows) if not isinstance(rows, str) else rows, encoding="utf-8")
    return path


def by_id(*said: Response) -> dict[str, Response]:
    return {response.id: response for response in said}


def statuses(judged: list[Episode]) -> list[str]:
    return [episode.status for episode in judged]


def test_each_answer_is_success_failure_parse_error_or_an_error_that_is_not_the_models(tmp_path: Path) -> None:
    said = by_id(
        Response("item_0", HIT), Response("item_1", MISS), Response("item_2", "no idea"), Response("item_3", error="x", fault="eval_error")
    )
    judged = judge(benchmark(tmp_path, images=False), said)
    assert statuses(judged) == ["success", "failure", "parse_error", "eval_error"]
    assert judged[0].details["point"] == [200.0, 150.0]
    assert [one.reward for one in judged] == [1.0, 0.0, 0.0, 0.0]


def test_an_item_without_a_response_counts_against_the_score_and_is_told(tmp_path: Path) -> None:
    little = benchmark(tmp_path, images=False)
    found = metric(little, judge(little, by_id(Response("item_0", HIT))))
    assert (found.successes, found.planned, found.missing, found.success_rate, found.complete) == (1, 4, 3, 0.25, False)


def test_rates_are_split_by_the_axes_of_the_items(tmp_path: Path) -> None:
    little = benchmark(tmp_path, images=False)
    found = metric(little, judge(little, {f"item_{n}": Response(f"item_{n}", HIT if n % 2 else MISS) for n in range(4)}))
    assert {share.name: (share.successes, share.items) for share in found.groups} == {"even": (2, 2), "odd": (0, 2)}


def test_a_cut_reply_says_so(tmp_path: Path) -> None:
    judged = judge(benchmark(tmp_path, 1, images=False), by_id(Response("item_0", "Well, I", stop_reason="length")))
    assert "cut" in judged[0].reason


def test_inference_asks_each_item_once_and_judging_asks_nobody(tmp_path: Path) -> None:
    model, out = Pointer(), tmp_path / "run"
    assert evaluate(benchmark(tmp_path / "set"), out, model=model) == 0
    assert len(model.asked) == 4
    assert read_about(out)["model"] == "pointer"
    first = (out / JUDGEMENTS).read_text(encoding="utf-8")
    assert [episode.status for episode in read_episodes(out)] == ["success"] * 4
    assert evaluate(benchmark(tmp_path / "set", images=False), out, resume=True) == 0
    assert len(model.asked) == 4
    assert (out / JUDGEMENTS).read_text(encoding="utf-8") == first
    again = tmp_path / "again"
    assert evaluate(benchmark(tmp_path / "set"), again, responses=out / RESPONSES) == 0
    assert json.loads((again / SUMMARY).read_text(encoding="utf-8"))["success_rate"] == 1.0


@pytest.mark.parametrize("workers", [1, 3])
def test_an_inference_that_was_killed_goes_on_where_it_stopped(tmp_path: Path, workers: int) -> None:
    little, out = benchmark(tmp_path / "set", 6), tmp_path / "run"
    assert evaluate(little, out, model=Pointer(breaks=[3], fault=KeyboardInterrupt)) == 130
    kept = (out / RESPONSES).read_text(encoding="utf-8")
    assert kept.count("\n") >= 3
    (out / RESPONSES).write_text(kept + '{"id": "item_5", "raw_resp', encoding="utf-8")  # a line that the kill cut
    model = Pointer()
    assert evaluate(little, out, model=model, resume=True, workers=workers) == 0
    assert len(model.asked) == 6 - kept.count("\n")
    assert sorted(response.id for response in read_responses(out / RESPONSES)) == [f"item_{n}" for n in range(6)]


def test_an_error_of_the_model_is_kept_counted_and_asked_again(tmp_path: Path) -> None:
    little, out = benchmark(tmp_path / "set"), tmp_path / "run"
    evaluate(little, out, model=Pointer(breaks=[1]))
    assert [episode.status for episode in read_episodes(out)].count("model_error") == 1
    model = Pointer()
    assert evaluate(little, out, model=model, resume=True) == 0
    assert len(model.asked) == 1
    assert [episode.status for episode in read_episodes(out)] == ["success"] * 4


def test_a_model_that_keeps_failing_stops_the_inference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Pointer(breaks=range(20))
    assert evaluate(benchmark(tmp_path / "set", 20), tmp_path / "run", model=model) == 3
    assert len(model.asked) < 20
    assert "in a row" in capsys.readouterr().err


def test_an_image_that_is_missing_broken_or_of_another_size_is_an_error_of_its_item_alone(tmp_path: Path) -> None:
    little = benchmark(tmp_path / "set")
    little.items[0].image.unlink()
    little.items[1].image.write_bytes(little.items[1].image.read_bytes()[:90])
    Image.new("RGB", (500, 1000)).save(little.items[2].image)
    model, out = Pointer(), tmp_path / "run"
    evaluate(little, out, model=model)
    found = read_episodes(out)
    assert statuses(found) == ["eval_error"] * 3 + ["success"]
    for episode, words in zip(found, ("missing", "cannot be read", "500x1000"), strict=False):
        assert words in episode.reason
    assert len(model.asked) == 1


def test_a_run_goes_on_only_as_what_it_was(tmp_path: Path) -> None:
    little, out = benchmark(tmp_path / "set"), tmp_path / "run"
    evaluate(little, out, model=Pointer())
    with pytest.raises(EvalError, match="its model is 'pointer'"):
        evaluate(little, out, model=ScriptedModel([HIT]), resume=True)
    with pytest.raises(EvalError, match="already holds a run"):
        evaluate(little, out, model=Pointer())
    with pytest.raises(EvalError, match="neither a model"):
        evaluate(little, tmp_path / "other", model=None)


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "item_0", "raw_response": HIT}, {"id": "item_1", "raw_response": MISS}],
        {"details": [{"id": "item_0", "raw_response": HIT}, {"id": "item_1", "raw_response": None}], "metrics": {}},
        '{"item_id": "item_0", "response": "[200,300]"}\n{"item_id": "item_1", "response": ""}\n',
        [
            {"index": "item_0", "text": HIT, "correctness": "wrong", "pred": [1, 1]},
            {"index": "item_1", "text": "-", "correctness": "correct"},
        ],
    ],
)
def test_files_of_responses_are_read_in_every_usual_form_and_scored_from_the_text_alone(tmp_path: Path, rows: Any) -> None:
    file = responses(tmp_path / "said.json", rows)
    assert evaluate(benchmark(tmp_path, 2, images=False), tmp_path / "run", responses=file) == 0
    assert [episode.success for episode in read_episodes(tmp_path / "run")] == [True, False]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "item_9", "raw_response": HIT}], "no item 'item_9'"),
        ([{"id": "item_0", "raw_response": HIT}, {"id": "item_0", "raw_response": MISS}], "two different responses to item_0"),
        ([{"id": "item_0", "raw_response": HIT, "instruction": "another thing"}], "another edition"),
        ([{"raw_response": HIT}], "record 1: it has no id"),
        ([{"id": "item_0", "prediction": HIT}], "it has no text"),
        ([{"id": "item_0", "raw_response": 7}], "it has no text"),
        ("[7]", "no JSON object"),
        ("7", "neither a list"),
        ('{"id": "item_0", "raw_response": "x"}\n{"id": ', "line 2: this is no whole JSON"),
        ("", "no response"),
    ],
)
def test_a_bad_file_of_responses_is_told_and_nothing_is_scored(
    tmp_path: Path, rows: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = responses(tmp_path / "said.json", rows)
    if rows == "":
        assert evaluate(benchmark(tmp_path, images=False), tmp_path / "run", responses=file) == 3
        assert words in capsys.readouterr().err
        return
    with pytest.raises(EvalError, match=words):
        evaluate(benchmark(tmp_path, images=False), tmp_path / "run", responses=file)
    assert not (tmp_path / "run" / RUN).exists()


def test_a_missing_file_of_responses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="nowhere"):
        read_responses(tmp_path / "nowhere.json")


def test_responses_beyond_the_items_asked_for_are_left_out_and_counted(tmp_path: Path) -> None:
    said = [Response(f"item_{n}", HIT) for n in range(4)]
    found = matched(benchmark(tmp_path, tasks=["item_1"], images=False), said, "said.json")
    assert (list(found.responses), found.notes) == (["item_1"], ("3 responses are to items that were not asked for; they are left out.",))
    with pytest.raises(EvalError, match="no item 'other'"):
        matched(benchmark(tmp_path, tasks=["item_1"], images=False), [Response("other", HIT)], "said.json")


def test_the_same_response_twice_counts_once(tmp_path: Path) -> None:
    found = matched(benchmark(tmp_path, 1, images=False), [Response("item_0", HIT)] * 2, "said.json")
    assert len(found.responses) == 1
    assert "count once" in found.notes[0]


def test_what_was_answered_before_is_kept_and_what_failed_is_not(tmp_path: Path) -> None:
    path = tmp_path / RESPONSES
    assert answered_before(path) == []
    infer(benchmark(tmp_path / "set"), Pointer(breaks=[0]), "grounding", path)
    assert sorted(response.id for response in answered_before(path)) == ["item_1", "item_2", "item_3"]
    assert len(read_responses(path)) == 3


def test_a_question_holds_one_screenshot_and_the_instruction_and_says_how_to_answer() -> None:
    image = Image.new("RGB", (20, 10))
    (message,) = ask.messages("grounding", "close\nthis  window", image)
    assert message.content[0] is image
    assert message.content[1] == (
        "Where on this screenshot would you click for the following? Answer with one point, [x,y], in thousandths of the screenshot's"
        " width and height (0 to 999), and nothing else.\nclose this window"
    )
    assert "[-1,-1]" in ask.text("x", refuses=True)
    assert "[-1,-1]" not in ask.text("x")


def test_the_embedded_model_is_asked_in_the_words_it_was_trained_on() -> None:
    (message,) = ask.messages("compact", "OK", Image.new("RGB", (20, 10)))
    assert message.content[1] == 'find "OK"'


def test_an_unknown_prompt_is_named_with_those_there_are() -> None:
    with pytest.raises(EvalError, match="grounding, compact"):
        ask.question("desktop")
