"""Runs of one configuration put together: they equal the whole, can be completed, and what does not belong together is refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from evals.base import EvalError
from evals.episode import Episode
from evals.folder import EPISODES, RESULT, read_about
from evals.merge import merge
from evals.recipe import Recipe
from evals.runner import run
from tests.evals.halves import PLAN, LeftHalf, asked, slow
from tests.evals.run_folders import write_run
from tests.evals.test_runner import came_of


def test_shards_put_together_equal_the_whole_run_and_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(5)), slow(), tmp_path / "whole", PLAN)
    parts = [tmp_path / f"part{part}" for part in (1, 2)]
    for part, out in enumerate(parts, 1):
        run(lambda: LeftHalf(asked(5)), slow(), out, replace(PLAN, shard=(part, 2)))
    summary = merge(parts, tmp_path / "merged")
    assert (summary.planned, summary.successes, summary.complete) == (5, 3, True)
    assert came_of(tmp_path / "merged") == came_of(tmp_path / "whole")
    with pytest.raises(EvalError, match="an episode counts once"):
        merge([*parts, parts[0]], tmp_path / "twice")
    with pytest.raises(EvalError, match="not all here: 2/2 missing"):
        merge(parts[:1], tmp_path / "half")
    run(lambda: LeftHalf(asked(5)), slow(), tmp_path / "other", replace(PLAN, max_steps=1))
    with pytest.raises(EvalError, match="different configurations"):
        merge([parts[0], tmp_path / "other"], tmp_path / "mixed")


def test_a_merged_run_of_which_a_shard_did_not_end_is_gone_on_with(tmp_path: Path) -> None:
    run(lambda: LeftHalf(asked(6)), slow(), tmp_path / "whole", PLAN)
    parts = [tmp_path / f"part{part}" for part in (1, 2)]
    for part, out in enumerate(parts, 1):
        run(lambda: LeftHalf(asked(6)), slow(), out, replace(PLAN, shard=(part, 2)))
    (parts[0] / EPISODES / "left-2" / RESULT).unlink()
    assert not merge(parts, tmp_path / "merged").complete
    assert run(lambda: LeftHalf(asked(6)), slow(), tmp_path / "merged", PLAN, again="resume").complete
    assert came_of(tmp_path / "merged") == came_of(tmp_path / "whole")


def test_episodes_of_another_type_of_numbers_are_another_configuration(tmp_path: Path) -> None:
    for dtype, task in zip(("float32", "bfloat16"), asked(2), strict=True):
        about = Recipe("left_half", loading={"dtype": dtype}).about()
        run(partial(LeftHalf, [task]), slow(), tmp_path / dtype, PLAN, about=about)
    assert read_about(tmp_path / "float32")["options"]["dtype"] == "float32"
    with pytest.raises(EvalError, match="different configurations"):
        merge([tmp_path / "float32", tmp_path / "bfloat16"], tmp_path / "both")


def test_runs_of_grounding_benchmarks_are_refused_in_words(tmp_path: Path) -> None:
    part = write_run(tmp_path / "part", [Episode("a", None, "success")])
    with pytest.raises(EvalError, match=r"part is a run of a grounding benchmark.*run it whole"):
        merge([part], tmp_path / "merged")
