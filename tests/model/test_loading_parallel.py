"""Two processes hold one model together and answer as one does; what cannot be shared is refused in one line."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.base import ModelError
from model.loading import Placement, load_weights
from model.released import RELEASED

ROOT = Path(__file__).parent.parent.parent
needs_accelerate = pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")


def refusal(folder: Path, placement: Placement) -> str:
    with pytest.raises(ModelError) as caught:
        load_weights(folder, placement)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_accelerate
@pytest.mark.skipif(torch.cuda.is_available(), reason="processes would take GPUs, of which there may be one")
def test_two_processes_answer_as_one_does_and_the_second_follows_the_first(checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [*command, ROOT / "tests" / "model" / "parallel_ranks.py", checkpoint, tmp_path],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    off = json.loads((tmp_path / "off.json").read_text())
    assert off["tensor"] < 1e-5
    assert off["expert"] < 1e-5
    assert (off["tensor share"], off["expert share"]) == (0.5, 0.5)
    assert json.loads((tmp_path / "said.json").read_text()) == ["Hello", "An empty prompt.", "more"]
    assert json.loads((tmp_path / "heard.json").read_text()) == [[1, 3, None], [0, 4, None], [2, 5, None]]
    together = json.loads((tmp_path / "together.json").read_text())
    assert [ours for ours, _, _ in together] == [theirs for _, theirs, _ in together]
    assert all(cached > 0 for _, _, cached in together[1:])
    asked, drawn = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("seeds", "drawn"))
    assert asked[0] is None, "nothing is drawn at temperature 0"
    assert asked[1:] == drawn[1:] != [None, None]


def test_processes_that_torchrun_did_not_start_are_asked_for(checkpoint: Path) -> None:
    assert "torchrun --nproc-per-node 2" in refusal(checkpoint, Placement(tensor_parallel=2))


def test_what_excludes_each_other_is_said(checkpoint: Path) -> None:
    assert "exclude each other" in refusal(checkpoint, Placement(tensor_parallel=2, device_map="auto"))
    assert "give tensor_parallel" in refusal(checkpoint, Placement(expert_parallel=True))


@pytest.mark.parametrize(
    ("processes", "experts", "told"),
    [(3, False, "8 KV heads, which 3 processes"), (16, True, "8 KV heads, which 16"), (8, True, None), (4, False, None)],
)
def test_a_model_is_shared_evenly_or_not_at_all(tmp_path: Path, processes: int, experts: bool, told: str | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RELEASED["glm-4.5v"].config))
    code = "import sys, json; from pathlib import Path; from model.parallel import plan; folder, processes, experts = sys.argv[1:]; "
    code += "config = json.loads((Path(folder) / 'config.json').read_text()); "
    code += "print(plan(Path(folder), config, int(processes), experts == 'True').tp_size)"
    command = [sys.executable, "-c", code, str(tmp_path), str(processes), str(experts)]
    started = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(processes)}
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | started, capture_output=True, text=True, timeout=60)
    if told:
        assert told in ended.stderr.splitlines()[-1]
        assert "use one of [1, 2, 4, 8]" in ended.stderr.splitlines()[-1]
    elif importlib.util.find_spec("accelerate") is None:
        assert "pip install accelerate" in ended.stderr
    else:
        assert ended.stdout.split() == [str(processes)]
