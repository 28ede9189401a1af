"""``chereme prepare`` of isolated signs: the layouts of the data sets, of which a part is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.exemplars import Exemplars
from chereme.datasets.pose_clips import PoseCorpus
from chereme.datasets.status import read_status
from chereme.formats.poses import write_landmarks
from chereme.types import Landmarks


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def clip(path: Path, frames: int = 4, hand: bool = True) -> None:
    """A right hand that keeps still."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(0).uniform(50, 400, (1, 1, 21, 3)).astype(np.float32)
    seen = np.full((frames, 1, 21), 0.9 if hand else 0.0, np.float32)
    points = np.where(seen[..., None] > 0, points, np.nan).astype(np.float32)
    write_landmarks(Landmarks(points, seen, np.arange(frames) / 25, 640, 480, ("right",)), path)


def wlasl(root: Path) -> list[object]:
    def of(video: str, split: str) -> dict[str, object]:
        about = {"frame_start": 1, "frame_end": -1, "fps": 25, "signer_id": 7, "url": "a.mp4"}
        return {**about, "video_id": video, "split": split}

    words = [[of("1", "train"), of("2", "val"), of("3", "test")], *[[of("4", "train")]] * 99]
    rows = [{"gloss": f"word {i}", "instances": found} for i, found in enumerate(words)]
    (root / "WLASL_v0.3.json").write_text(json.dumps(rows))
    clip(root / "videos" / "1.npz")
    clip(root / "videos" / "2.npz", hand=False)
    return ["--classes", 100]


def msasl(root: Path) -> list[object]:
    for split, label in (("train", 0), ("val", 0), ("test", 1)):
        row = {
            **{"label": label, "text": f"word {label}", "signer_id": 3},
            **{"url": "youtu.be/J7tP98oDxqE", "start_time": 0.0, "end_time": 2.0},
        }
        (root / f"MSASL_{split}.json").write_text(json.dumps([row]))
    (root / "MSASL_classes.json").write_text(json.dumps([f"word {i}" for i in range(1000)]))
    clip(root / "cut" / "train-00000.npz")
    clip(root / "cut" / "val-00000.npz", hand=False)
    return ["--classes", 200, "--names", "{split}-{row:05d}", "--videos", root / "cut"]


def slr500(root: Path) -> list[object]:
    (root / "dictionary.txt").write_text("000000\tword 0\n")
    clip(root / "color" / "000000" / "P01_1.npz")
    clip(root / "color" / "000000" / "P02_1.npz", hand=False)
    (root / "color" / "000001").mkdir()
    return ["--dev", "P02"]


def nmfs_csl(root: Path) -> list[object]:
    (root / "uni_trainlist01.csv").write_text("0001/a,0\n0001/b,0\n0001/c,1\n")
    (root / "words.csv").write_text("label,word,kind\n0,word 0,normal\n1,word 1,confusing\n")
    clip(root / "jpg_video" / "0001" / "a.npz")
    clip(root / "jpg_video" / "0001" / "b.npz", hand=False)
    return ["--subset", "normal"]


def signs(root: Path) -> list[object]:
    clip(root / "word 0" / "ann_1.npz")
    clip(root / "word 0" / "bob_1.npz", hand=False)
    (root / "word 1").mkdir()
    return ["--signer", "/([a-z]+)_"]


@pytest.mark.parametrize(
    ("name", "layout", "said"),
    [
        ("wlasl", wlasl, "WLASL100: 1 of 102 clips prepared (2,038 published)"),
        ("msasl", msasl, "MS-ASL200: 1 of 3 clips prepared (9,719 published)"),
        ("slr500", slr500, "SLR500: 1 of 3 clips prepared (125,000 published)"),
        ("nmfs-csl", nmfs_csl, "NMFs-CSL, normal words: 1 of 2 clips prepared"),
        ("signs", signs, "data: 1 of 3 clips prepared"),
    ],
)
def test_what_there_is_of_a_data_set_is_prepared(
    tmp_path: Path, name: str, layout: Callable[[Path], list[object]], said: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    more = layout(root)
    for _ in range(2):  # it may be run again
        result = run("prepare", name, "--root", root, "-o", tmp_path / "out", *more)
        assert result.exit_code == 0, result.stderr
        assert said in result.stderr
        assert "1 no hand seen" in result.stderr
        (entry,) = PoseCorpus(tmp_path / "out").entries
        assert (entry.label, entry.frames) == ("word 0", 4)
        rows = read_status(tmp_path / "out")
        assert [(row.status, row.reason) for row in rows if row.stage == "preparation"] == [
            ("done", ""),
            ("dropped", "no hand seen"),
        ]


def test_a_data_set_without_a_clip_is_an_error(tmp_path: Path) -> None:
    clip(tmp_path / "data" / "word" / "one.npz", hand=False)
    result = run("prepare", "signs", "--root", tmp_path / "data", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "0 of 1 clips prepared" in result.stderr
    assert "nothing was prepared" in result.stderr


# -- letters ---------------------------------------------------------------------------------------
def test_letters_of_exemplars(exemplars: Exemplars, tmp_path: Path) -> None:
    exemplars.save(tmp_path / "hands.npz")
    options = ("--clips", 20, "--test", "two", "--seed", 4, "-o", tmp_path / "poses")
    result = run("prepare", "letters", "--exemplars", tmp_path / "hands.npz", *options)
    assert result.exit_code == 0, result.stderr
    assert "22 clips" in result.stderr
    entries = PoseCorpus(tmp_path / "poses").entries
    assert [entry.split for entry in entries] == ["train"] * 20 + ["test"] * 2
    assert {entry.label for entry in entries} <= {*"abcdefghijklmnopqrstuvwxyz"}


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("letters", (), "expected --clips N, and --exemplars FILE"),
        ("letters", ("--clips", "20"), "expected --clips N, and --exemplars FILE"),
        ("letters", ("--root", "."), "--root is for other data sets"),
        ("letters", ("--digits",), "--digits is for other data sets"),
        ("signs", ("--exemplars", "a.npz", "--root", "."), "--exemplars is for other data sets"),
        ("exemplars", ("--exemplars", "a.npz", "--root", "."), "--exemplars is for other data"),
        ("exemplars", ("--digits", "--rendered", "3", "--root", "."), "have no digits"),
    ],
)
def test_options_of_other_data_sets(
    dataset: str, options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = run("prepare", dataset, *options, "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
