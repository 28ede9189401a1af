"""All tasks: seeds, resumption, checkpoints, and losses that are not finite."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_trainings import TASKS, VALIDATED, config_of, run

from chereme.errors import InputError
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import Task, write_metrics

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(coloured_shards, exemplars, tmp_path_factory) -> Callable[[str], Path]:
    configs: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in configs:
            folder = tmp_path_factory.mktemp("trainings") / kind
            configs[kind] = config_of(kind, folder, coloured_shards, exemplars)
        return configs[kind]

    return of


@pytest.fixture
def config(made, kind: str) -> Path:
    """Of the task that is tested."""
    found: Path = made(kind)
    return found


def weights(output: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(output / "last.ckpt", weights_only=True)[
        "state_dict"
    ]
    return found


# -- every task ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", TASKS)
def test_a_resumed_run_ends_as_one_that_was_not_cut_off(
    config: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit. It is cut off in the second epoch, between the two batches of a step, and goes
    on from the step before."""
    options = (
        "--trainer.accumulate_grad_batches=2",
        "--trainer.max_epochs=3",
        "--model.init_args.save_every=1",
    )
    run(config, tmp_path / "whole", *options)
    begin = Task.on_train_batch_start

    def cut(self: Task, batch: Any, index: int) -> None:
        begin(self, batch, index)
        if (self.trainer.current_epoch, index) == (1, 2):
            self.trainer.should_stop = True

    with monkeypatch.context() as patch:
        patch.setattr(Task, "on_train_batch_start", cut)
        run(config, tmp_path / "run", *options)
    last = tmp_path / "run" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 4
    assert not (tmp_path / "run" / "metrics.json").exists()
    torch.manual_seed(99)
    done = run(config, tmp_path / "run", *options, f"--resume={last}")
    assert done.trainer.global_step == 9
    ends = [weights(tmp_path / name) for name in ("whole", "run")]
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


@pytest.mark.parametrize("kind", TASKS)
def test_batches_of_a_step_draw_other_numbers(
    config: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the first batch those that it drew when each batch was a step."""
    drawn: list[float] = []
    begin = Task.on_train_batch_start

    def draw(self: Task, batch: Any, index: int) -> None:
        begin(self, batch, index)
        drawn.append(float(torch.rand(())))

    monkeypatch.setattr(Task, "on_train_batch_start", draw)
    monkeypatch.setattr(Task, "finish", lambda *_: None)
    task = TASKS[kind][0]
    run(config, tmp_path / task, "--trainer.accumulate_grad_batches=3")
    assert len(drawn) == len(set(drawn)) == 6
    torch.manual_seed(1)
    assert drawn[0] == float(torch.rand(()))


@pytest.mark.parametrize("kind", VALIDATED)
def test_the_best_and_the_last_weights_are_kept_and_the_best_are_scored(
    config: Path, kind: str, tmp_path: Path
) -> None:
    cli = run(config, tmp_path, "--trainer.max_epochs=2")
    task = cli.model
    best = task.load(tmp_path / "best.ckpt")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["scored"], found["epochs"], found["steps"]) == ("best.ckpt", 2, 12)
    assert found["parameters"] == sum(p.numel() for p in best.model.parameters()) or (
        kind == "video2pose"
    )
    assert found["dev"] is not None
    assert not best.model.training
    for name, value in best.model.state_dict().items():
        torch.testing.assert_close(value, task.model.state_dict()[name])
    entry = torch.load(tmp_path / "last.ckpt", weights_only=True)[task.entry]
    assert entry["config"]
    (callback,) = [c for c in cli.trainer.checkpoint_callbacks if c.monitor]
    assert callback.best_model_path.endswith("best.ckpt")


@pytest.mark.parametrize("kind", VALIDATED)
def test_a_loss_that_is_not_finite_names_the_clips(config: Path, kind: str, tmp_path: Path) -> None:
    def break_weights(self: Task, batch: Any, index: int) -> None:
        for parameter in self.parameters():
            parameter.data.fill_(float("nan"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "on_train_batch_start", break_weights)
        with pytest.raises(InputError, match=r"step 0: .*total.* clips .*; weights have div"):
            run(config, tmp_path)


# -- the base --------------------------------------------------------------------------------------
class Toy(Task):
    entry, kind = "toy", "toy"

    def __init__(self) -> None:
        super().__init__(OptimiserConfig())
        self.model = torch.nn.Linear(2, 2)

    def score(self, split: str) -> None:
        return None


def test_the_clips_that_break_a_loss_are_named() -> None:
    task = Toy()
    outputs = torch.zeros(3, 4, 2)
    outputs[1, 2] = float("inf")
    fine, nan = torch.tensor(1.0), torch.tensor(torch.nan)
    task.check_losses({"total": fine}, ("a", "b", "c"), outputs)
    with pytest.raises(InputError, match=r"step 0: .* in l_kd, total, of the clips b; look at"):
        task.check_losses({"l_seq": fine, "l_kd": nan, "total": nan}, ("a", "b", "c"), outputs)
    with pytest.raises(InputError, match=r"clips a, b, c; look at these clips, or train in full"):
        task.check_losses({"total": nan}, ("a", "b", "c"), torch.zeros(3, 2))
    with torch.no_grad():
        task.model.weight[0, 0] = 1e5
    with pytest.raises(InputError, match=r"clips b; weights have diverged: lower the learning"):
        task.check_losses({"total": nan}, ("a", "b", "c"), outputs)


def test_every_batch_of_every_process_has_a_seed_of_its_own() -> None:
    def seeds(world: int, rank: int) -> list[int]:
        task = Toy()
        total = SimpleNamespace(processed=0)
        loop = SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(total=total))
        )
        task._trainer = SimpleNamespace(world_size=world, global_rank=rank, fit_loop=loop)
        task.seed, found = 7, []
        for number in range(5):
            total.processed = number
            found.append(task.batch_seed)
        return found

    assert seeds(1, 0) == [7, 8, 9, 10, 11]
    both = seeds(2, 0) + seeds(2, 1)
    assert len(set(both)) == 10


def test_metrics_are_written_whole(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", {"name": "é", "dev": None})
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == {"name": "é", "dev": None}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


# -- several processes -----------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["crops", "landmarks", "language_model", "isolated", "pose2gloss"])
def test_two_processes_train_on_other_clips(config: Path, kind: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, torch\n"
        "from chereme.training.cli import main\n"
        "from chereme.training.task import Task\n"
        "begin, seen = Task.on_train_batch_start, []\n"
        "def note(self, batch, index):\n"
        "    begin(self, batch, index)\n"
        "    inputs = batch if isinstance(batch, tuple) else vars(batch)\n"
        "    seen.append((str(getattr(batch, 'ids', inputs)), float(torch.rand(()))))\n"
        "Task.on_train_batch_start = note\n"
        "cli = main(sys.argv[1:])\n"
        "print('steps', cli.trainer.global_step, '|', seen)\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", str(script), f"--config={config}"),
            *(f"--output={tmp_path / 'run'}", "--trainer.devices=2", "--trainer.strategy=ddp"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = sorted(line for line in done.stdout.splitlines() if line.startswith("steps"))
    head = one.partition("|")[0]
    assert other.startswith(head)
    seen = [dict.fromkeys(eval(line.partition("|")[2])) for line in (one, other)]
    assert not seen[0].keys() & seen[1].keys()
    assert not {clips for clips, _ in seen[0]} & {clips for clips, _ in seen[1]}
