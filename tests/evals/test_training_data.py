"""What is held out, and what a checkpoint says of its own use."""

import json
from pathlib import Path

import pytest

from evals.demonstrations import DATASET
from evals.training_data import about, split
from model import embedded_path
from model.examples import Example


@pytest.mark.parametrize("seed", range(10_000, 10_060))
def test_a_seed_is_held_out_in_demonstrations_and_in_benchmark_runs_alike(seed: int) -> None:
    folders = f"click-test-2/{seed}", f"episodes/click-test-2-{seed}", f"episodes/click-test-2-{seed}-r1"
    held = [bool(split([Example(Path(folder) / "000.png", ())])[1]) for folder in folders]
    assert len(set(held)) == 1


def test_a_checkpoint_trained_on_runs_of_ones_own_keeps_the_screen_of_the_one_it_began_with(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    (recorded / DATASET).write_text(json.dumps({"viewport": [9, 9], "scale": 2.0}))
    own = json.loads((embedded_path() / "config.json").read_text())["glimpse"]
    screen = {key: own[key] for key in ("viewport", "region", "scale")}
    assert about([tmp_path], embedded_path()) == {"prompt": "compact", **screen}
    assert about([tmp_path, recorded], embedded_path()) == {"prompt": "compact", "viewport": [9, 9], "scale": 2.0}
    assert about([tmp_path], embedded_path(), tmp_path) == about([tmp_path], embedded_path()), "of a run that has saved nothing yet"
    assert about([tmp_path], None, embedded_path()) == about([tmp_path], embedded_path()), "of one that goes on"
    assert about([tmp_path]) == about([tmp_path], tmp_path) == {"prompt": "compact"}
