"""The set of words to be found: the same from the same seeds, seen and unseen told apart, documents rendered as they are."""

from pathlib import Path

import pytest

from evals.base import EvalError
from evals.find_words import make, unique
from evals.words import held_out


def test_pages_give_the_same_questions_twice_and_tell_unseen_words_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("a", "b"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        found.append(make(pages=40))
    first, second = found
    assert first.version == second.version
    assert [item.id for item in first.items] == [item.id for item in second.items]
    assert 40 <= len(first.items) <= 40 * 7
    groups = {item.tags["group"] for item in first.items}
    assert groups == {"seen", "unseen"}
    for item in first.items:
        assert held_out(item.instruction) == (item.tags["group"] == "unseen")


def test_documents_are_rendered_and_each_word_that_stands_there_once_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "one.html").write_text("<p>Alpha beta, beta gamma.</p><p>betatron</p><p style='margin-top:900px'>below</p>")
    items = make(documents=str(tmp_path / "*.html"), scale=2.0).items
    assert {item.instruction for item in items} == {"Alpha", "gamma", "betatron"}
    assert all(item.size == (1280, 960) for item in items)
    with pytest.raises(EvalError, match="names no HTML file"):
        make(documents=str(tmp_path / "*.htm"))


def test_a_word_within_another_is_not_asked_for() -> None:
    words = [["save", [0, 0, 1, 1], []], ["saved", [2, 0, 3, 1], []], ["(open)", [4, 0, 5, 1], []], ["a", [6, 0, 7, 1], []]]
    assert [word for word, _ in unique(words)] == ["saved", "open"]


def test_pages_of_training_seeds_are_refused() -> None:
    with pytest.raises(EvalError, match="10001 pages cannot be made"):
        make(pages=10_001)
