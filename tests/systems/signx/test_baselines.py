"""Sentences read without a network: time warping by hand, the nearest, and the constant."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from recipes import CONFIGS

from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import TrackSpec, one_track, register_track, write_tracks
from chereme.systems.signx.baselines import BaselineTask, warped_distance
from chereme.training.cli import main

TRACK = register_track(TrackSpec("test_places", 4, "x and y of a hand and of the nose"))


def test_warping_by_hand() -> None:
    first, second = np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [3.0]])
    # 0-0 in both (twice 0), then 1-0 in one (1), then 3-3 in both (twice 0); five frames.
    assert warped_distance(first, second) == pytest.approx(1 / 5)
    assert warped_distance(first, first) == 0
    # Slower is the same.
    assert warped_distance(first, np.repeat(first, 3, 0)) == 0


def test_warping_is_the_cheapest_way_there_is() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    cost = np.linalg.norm(first[:, None] - second[None], axis=-1)
    best = np.inf
    for steps in itertools.product([(1, 0), (0, 1), (1, 1)], repeat=5):
        for count in range(6):
            i, j, total = 0, 0, 2 * cost[0, 0]
            for di, dj in steps[:count]:
                i, j = i + di, j + dj
                if i > 3 or j > 2:
                    break
                total += (di + dj) * cost[i, j]
            if (i, j) == (3, 2):
                best = min(best, total)
    assert warped_distance(first, second) == pytest.approx(best / 7)


@pytest.mark.parametrize("other", [np.zeros((0, 2)), np.zeros((3, 1))])
def test_clips_that_cannot_be_compared(other: np.ndarray) -> None:
    with pytest.raises(InputError, match="two clips of frames of as many numbers"):
        warped_distance(np.zeros((2, 2)), other)


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """A hand goes right or up, slower and elsewhere in the test; the nose is lost at times."""
    ways = {"GO": (1, 0), "RISE": (0, 1)}
    rows = []

    def put(name: str, label: str, frames: int, at: float, split: str) -> None:
        signed = np.concatenate(
            [np.linspace(0, 1, frames)[:, None] * ways[g] for g in label.split()]
        )
        track = np.concatenate([signed + at, np.full((len(signed), 2), at)], 1)
        track[0] = np.nan
        write_tracks(one_track(TRACK.name, track, 10.0), tmp_path / f"{name}.npz")
        rows.append(Item(tmp_path / f"{name}.npz", label, name, split=split))  # type: ignore[arg-type]

    for number, label in enumerate(("GO RISE", "GO RISE", "RISE", "GO")):
        put(f"train{number}", label, 10 + number, 0.0, "train")
    put("test0", "GO RISE", 20, 5.0, "test")
    put("test1", "RISE", 8, -2.0, "test")
    write_manifest(rows, tmp_path / "manifest.csv")
    return tmp_path


@pytest.mark.parametrize(
    ("reads", "read", "rate"),
    [("nearest", ["GO RISE", "RISE"], 0.0), ("constant", ["GO RISE", "GO RISE"], 33.33)],
)
def test_sentences_are_read_without_training(
    sentences: Path, tmp_path: Path, reads: str, read: list[str], rate: float
) -> None:
    rows = CONFIGS / "signx" / "rows"
    main(
        [
            f"--config={CONFIGS / 'signx' / 'boston104.yaml'}",
            f"--config={rows / 'nearest.yaml'}",
            *([f"--config={rows / 'constant.yaml'}"] if reads == "constant" else []),
            f"--output={tmp_path / 'run'}",
            f"--data.init_args.root={sentences}",
            "--data.init_args.layout=manifest",
            "--data.init_args.split_by=column",
            "--data.init_args.validate=false",
            "--model.init_args.origins={test_places: 1}",
        ]
    )
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    rows_read = json.loads((tmp_path / "run" / "readings.json").read_text())["sentences"]
    assert [row["baseline"] for row in rows_read] == read
    assert (found["dev"], found["test"]["baseline"]["wer"]) == (None, rate)
    assert (found["kind"], found["reads"]) == ("baseline", reads)


def test_another_way_of_reading_is_refused() -> None:
    with pytest.raises(UsageError, match="expected nearest or constant, got 'farthest'"):
        BaselineTask("farthest")  # type: ignore[arg-type]
