"""What a data set says it holds, whatever becomes of the requests to record into it."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.base import EvalError
from evals.demonstrations import DATASET, LABELS, TEST_SEEDS, Strays, record_all
from evals.training_data import examples
from evals.word_pages import PAGES

SEEDS = range(TEST_SEEDS, TEST_SEEDS + 3)
PLAIN = {"benchmark": "buttons", "stray": 0.0}


def asked(out: Path, seeds: range, stray: float = 0.0, name: str = "buttons") -> int:
    return record_all(name, out, (), seeds, Strays() if name == "words" else Strays(stray), workers=1, tell=print)


def described(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / DATASET).read_text())
    return found


def test_every_way_a_data_set_was_recorded_stays_in_it_and_a_request_that_records_nothing_changes_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, SEEDS[:1]) == 1
    (tmp_path / "notes.txt").touch()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "click-named" / "notes.txt").touch()
    (tmp_path / "click-named" / str(SEEDS[2])).mkdir()  # as if interrupted there
    before = described(tmp_path)
    assert (before["sources"], before["seeds"]) == ([PLAIN], {"click-named": str(SEEDS[0])})
    assert asked(tmp_path, SEEDS[:1], stray=0.5) == 0
    with pytest.raises(EvalError, match="no benchmark 'nonsense'"):
        asked(tmp_path, SEEDS, name="nonsense")
    assert described(tmp_path) == before
    assert asked(tmp_path, SEEDS[:2], stray=1.0) == 1
    assert asked(tmp_path, SEEDS) == 1
    assert described(tmp_path)["sources"] == [PLAIN, {"benchmark": "buttons", "stray": 1.0}]
    assert described(tmp_path)["seeds"] == {"click-named": f"{SEEDS[0]}-{SEEDS[2]}"}


def test_a_recording_that_is_interrupted_is_described_as_far_as_it_came(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_all("buttons", tmp_path, (), SEEDS, Strays(0.0), workers=1, tell=interrupt)
    assert len(list(tmp_path.glob(f"*/*/{LABELS}"))) == 1
    assert (described(tmp_path)["sources"], described(tmp_path)["seeds"]) == ([PLAIN], {"click-named": str(SEEDS[0])})


def test_a_page_whose_line_was_not_finished_is_drawn_anew_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    assert asked(tmp_path, SEEDS, name="words") == 3
    file = tmp_path / "words" / PAGES
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    assert len(list(examples(tmp_path))) == 2
    assert asked(tmp_path, SEEDS, name="words") == 1
    assert file.read_bytes() == whole
    assert described(tmp_path)["seeds"] == {"words": f"{SEEDS[0]}-{SEEDS[2]}"}
    for damaged in (whole[100:], b"{}\n" + whole, b"[]\n" + whole):
        file.write_bytes(damaged)
        for read in (lambda: list(examples(tmp_path)), lambda: asked(tmp_path, SEEDS, name="words")):
            with pytest.raises(EvalError, match=r"pages.jsonl, line 1: this is no page of words"):
                read()


def test_a_request_that_fails_says_why_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no benchmark 'nonsense'"):
        asked(tmp_path / "out", SEEDS, name="nonsense")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        asked(tmp_path / "file", SEEDS)
