"""Runs of the rows of Table 2 on other data, for ``fingerspelling_tables.py --run``.

A run is ``chereme train`` with its options, then its score on each test set apart, in
``scores.json`` beside ``metrics.json``. What is there is not done again, and what was cut off goes
on from its ``last.ckpt``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from chereme.datasets.shards import read_shards
from chereme.metrics import edit_counts
from chereme.systems.fingerspelling.task import LateFusionTask
from chereme.training.cli import main as train
from chereme.training.scoring import best_path, letter_scores, read_batch, write_metrics
from chereme.training.shards import ShardData

# What is tested on is scored apart.
_OPTIONS = ("--data.init_args.test=[]", "--trainer.enable_progress_bar=false")


class Run(Protocol):
    """``fingerspelling_tables.Plan``.

    ``options`` of chereme train; ``parts``: folders of the networks that are read together, its own
    or the two of late fusion; ``teacher``: whose vectors it needs.
    """

    @property
    def folder(self) -> Path: ...
    @property
    def options(self) -> tuple[str, ...]: ...
    @property
    def parts(self) -> tuple[Path, ...]: ...
    @property
    def teacher(self) -> str | None: ...


def run_all(
    runs: Sequence[Run],
    folders: Sequence[str],
    tests: Sequence[str],
    alphabet: str,
    minutes: float | None,
) -> None:
    """Train and score what is not there yet, for ``minutes`` at most.

    ``folders`` are trained on. Tested is on those of them that have a split test, and on ``tests``.
    """
    warnings.filterwarnings("ignore", "LightningCLI's args parameter")  # as are ours
    tests = [folder for folder in dict.fromkeys([*folders, *tests]) if has_test(folder)]
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    for number, run in enumerate(runs, 1):
        about = f"{number} of {len(runs)}, {run.folder}"
        lacking = [folder for folder in folders if not has_vectors(folder, "train", run.teacher)]
        if lacking:
            print(f"{about}: left out: {lacking[0]} has no vectors of {run.teacher}", flush=True)
            continue
        if not _trained(run.folder):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left < 1:
                print(f"{about}: not begun, the time is over; the same command goes on with it")
                return
            print(f"{about}: training", flush=True)
            train([*run.options, *_OPTIONS, *_going_on(run.folder, left)])
            if not _trained(run.folder):
                print(f"{about}: cut off, the time is over; the same command goes on with it")
                return
        if not (run.folder / "scores.json").is_file():
            write_metrics(run.folder / "scores.json", scores(run, tests, alphabet))
        print(f"{about}: done", flush=True)


def _trained(folder: Path) -> bool:
    return (folder / "metrics.json").is_file()


def _going_on(folder: Path, seconds: float | None) -> list[str]:
    """Options to begin or to go on with a run, for some time."""
    last = folder / "last.ckpt"
    options = [f"--resume={last}"] if last.is_file() else []
    if seconds is None:
        return options
    if options:
        # Lightning counts the time of the pieces before.
        timer = torch.load(last, weights_only=True)["callbacks"].get("Timer")
        seconds += timer["time_elapsed"]["train"] if timer else 0.0
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    most = f"{hours // 24:02}:{hours % 24:02}:{minutes:02}:{rest:02}"
    return [*options, f"--trainer.max_time={most}"]


def has_vectors(folder: str, split: str, teacher: str | None) -> bool:
    """Whether the first clip has vectors of ``teacher``;"""
    return teacher is None or teacher in next(read_shards(folder, split)).teacher


def has_test(folder: str) -> bool:
    """Whether there are clips of the split test."""
    return any(Path(folder).glob("test-[0-9]*.tar"))


def scores(run: Run, tests: Sequence[str], alphabet: str) -> dict[str, Any]:
    """For each test set, by its folder's name: letter accuracies, and edits of each clip.

    A test set without the vectors that the networks read is left out. Letters are the best of each
    step, without a search and so without any weight to choose.
    """
    task = LateFusionTask([str(part) for part in run.parts])
    teacher = None if task.inputs.vector_dim is None else run.teacher
    found: dict[str, Any] = {}
    for folder in tests:
        if not has_vectors(folder, "test", teacher):
            continue
        data = ShardData([folder], test=[folder], alphabet=alphabet, teacher=teacher, workers=0)
        data.inputs = task.inputs
        pairs = [
            (reading.id, reading.text, best_path(reading, data.alphabet))
            for batch in data.whole("test", every=True)
            for reading in read_batch(task.logits, batch)
        ]
        counts = [edit_counts(text, read, "htk") for _, text, read in pairs]
        found[Path(folder).name] = {
            "clips": len(pairs),
            "letters": sum(count.reference_length for count in counts),
            **letter_scores([(text, read) for _, text, read in pairs]),
            "edits": {
                name: [count.edits, count.reference_length]
                for (name, _, _), count in zip(pairs, counts, strict=True)
            },
        }
    return found
