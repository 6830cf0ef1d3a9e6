"""The model that says what it is told, and what importing this package costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from model.base import Completion, GenerationConfig, Message, Model, ModelError
from model.scripted import ScriptedModel

PLAIN = GenerationConfig()


def test_replies_come_in_order_and_what_was_asked_is_kept() -> None:
    scripted = ScriptedModel(["one", Completion("two", reasoning="why")])
    asked = [[Message("user", (text,))] for text in ("a", "b")]
    assert isinstance(scripted, Model)
    assert [scripted.generate(messages, PLAIN) for messages in asked] == [Completion("one"), Completion("two", reasoning="why")]
    assert scripted.seen == [tuple(messages) for messages in asked]


def test_a_script_that_has_ended_is_an_error() -> None:
    with pytest.raises(ModelError, match="all of its 0 replies"):
        ScriptedModel([]).generate([Message("user", ("a",))], PLAIN)


def test_importing_models_loads_no_heavy_library() -> None:
    code = "import sys, model, model.scripted, model.checkpoint; print({'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
