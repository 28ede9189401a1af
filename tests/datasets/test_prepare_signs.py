"""The data sets of isolated signs, from the files that their authors give to a score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_people
import numpy as np
import pytest
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets import folders
from chereme.datasets.pose_clips import PoseCorpus
from chereme.datasets.prepare_crops import read_settings
from chereme.datasets.prepare_signs import prepare_signs
from chereme.datasets.shards import read_shards
from chereme.datasets.status import read_status
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import read_manifest
from chereme.hands.both import SIDES
from chereme.training.shards import ShardCorpus
from fake_clips import ColourDetectors

LIMIT = 60_000  # bytes: a few clips a tar


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two signs, of which one clip shows no hand, and OpenPose's files."""
    root = tmp_path_factory.mktemp("source")
    for number in range(6):
        gloss = f"word {number % 2}"
        sides = "none" if number == 5 else "right" if number == 2 else "both"
        name = f"{gloss}/ann_{number}"
        fake_people.write_person(
            root / "clips" / name, root / "keypoints" / name, number % 2, sides
        )
    return root


def run(source: Path, folder: Path, **options: Any) -> Any:
    options = {"size": 32, "keypoints": source / "keypoints"} | options
    corpus = folders.read_signs(source / "clips", signer="/([a-z]+)_")
    return prepare_signs(corpus, folder, make_detector=ColourDetectors(), **options)


def tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def test_both_hands_of_a_clip_go_into_one_tar(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "a", into="crops", tar_bytes=LIMIT)
    assert (result.done, len(result.rows), len(tars(tmp_path / "a")) > 1) == (5, 6, True)
    assert [row.reason for row in read_status(tmp_path / "a") if row.reason] == ["no hand seen"]
    corpus = ShardCorpus(tmp_path / "a")
    assert len(corpus) == 5
    sides = {entry.id: [s.handedness for s in corpus[n]] for n, entry in enumerate(corpus.entries)}
    assert sides["word 0/ann_2"] == ["right"]
    assert sides["word 0/ann_0"] == ["right", "left"]
    settings = read_settings(tmp_path / "a")
    assert (settings.into, settings.hands, settings.layout) == ("crops", "both", "openpose_137")
    run(source, tmp_path / "b", into="crops", tar_bytes=LIMIT, workers=2)
    assert tars(tmp_path / "a") == tars(tmp_path / "b")


@pytest.mark.parametrize("cut", [0.2, 0.45, 0.7, 0.95])
def test_a_clip_of_which_one_hand_was_written_is_written_again(
    source: Path, tmp_path: Path, cut: float
) -> None:
    run(source, tmp_path / "whole", into="crops")
    run(source, tmp_path / "cut", into="crops")
    (tar,) = (tmp_path / "cut").glob("*.tar")
    content = tar.read_bytes()
    tar.unlink()
    tar.with_name(f"{tar.name}.part").write_bytes(content[: int(cut * len(content))])
    (tmp_path / "cut" / "status.csv").unlink()
    result = run(source, tmp_path / "cut", into="crops")
    assert result.done == 5
    assert tars(tmp_path / "cut") == tars(tmp_path / "whole")


def test_joints_have_the_confidence_of_the_tool(source: Path, tmp_path: Path) -> None:
    assert run(source, tmp_path, into="joints").done == 5
    corpus = PoseCorpus(tmp_path)
    found = [corpus[n] for n, entry in enumerate(corpus.entries) if entry.id == "word 0/ann_0"]
    for number, side in enumerate(SIDES):
        assert found[0].confidence[:, number] == pytest.approx(fake_people.SURE[side])
        np.testing.assert_allclose(
            found[0].joints[1, number], fake_people.joints(side, 1), rtol=1e-5
        )


def test_what_does_not_go_together_is_refused(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "a", into="frames")
    with pytest.raises(UsageError, match="was prepared otherwise"):
        run(source, tmp_path / "a", into="crops")
    with pytest.raises(UsageError, match="by the shoulders are of crops, and need keypoints"):
        run(source, tmp_path / "b", into="crops", around="shoulders", keypoints=None)
    with pytest.raises(InputError, match="expected a folder with the keypoints"):
        run(source, tmp_path / "b", into="crops", keypoints=tmp_path / "nowhere")


# -- from the files of the data sets to a score ----------------------------------------------------
Put = Callable[..., None]  # a clip, by its path and what it is called among the keypoints
GLOSSES = (0, 1)
CLIPS = [("train", n) for n in range(4)] + [("dev", 0), ("test", 0)]


def wlasl(root: Path, put: Put) -> list[object]:
    rows = []
    for gloss in range(100):
        found = []
        for place, (split, n) in enumerate(CLIPS if gloss in GLOSSES else [("train", 0)]):
            video = f"{gloss:03d}{place:02d}"
            about = {"frame_start": 1, "frame_end": -1, "fps": 25, "signer_id": n, "url": "a.mp4"}
            found.append({**about, "video_id": video, "split": {"dev": "val"}.get(split, split)})
            if gloss in GLOSSES:
                put(root / "videos" / video, video, gloss)
        rows.append({"gloss": f"word {gloss}", "instances": found})
    (root / "WLASL_v0.3.json").write_text(json.dumps(rows))
    return ["--classes", 100]


def msasl(root: Path, put: Put) -> list[object]:
    for split in ("train", "val", "test"):
        rows = []
        for gloss in GLOSSES:
            for n in range(4 if split == "train" else 1):
                row = {"label": gloss, "text": f"word {gloss}", "signer_id": n}
                row |= {"url": "youtu.be/J7tP98oDxqE", "start_time": 0.0, "end_time": 2.0}
                name = f"{split}-{len(rows):05d}"
                put(root / "cut" / name, name, gloss)
                rows.append(row)
        (root / f"MSASL_{split}.json").write_text(json.dumps(rows))
    (root / "MSASL_classes.json").write_text(json.dumps([f"word {i}" for i in range(1000)]))
    return ["--classes", 100, "--names", "{split}-{row:05d}", "--videos", root / "cut"]


def slr500(root: Path, put: Put) -> list[object]:
    (root / "dictionary.txt").write_text("000000\tword 0\n000001\tword 1\n")
    for gloss in GLOSSES:
        for signer in (1, 2, 3, 4, 37):
            name = f"{gloss:06d}/P{signer:02d}_s1_0_color"
            put(root / "color" / name, name, gloss)
    return []


def nmfs_csl(root: Path, put: Put) -> list[object]:
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for gloss in GLOSSES:
        for split, signer in (*(("train", n) for n in range(4)), ("test", 9)):
            name = f"{gloss:04d}/P{signer:02d}_{gloss:04d}_1"
            put(root / "jpg_video" / name, name, gloss)
            lists[split].append(f"{name},{gloss}\n")
    for split, rows in lists.items():
        (root / f"uni_{split}list01.csv").write_text("".join(rows))
    (root / "words.csv").write_text("label,word,kind\n0,word 0,normal\n1,word 1,confusing\n")
    return []


def signs(root: Path, put: Put) -> list[object]:
    for split, n in CLIPS:
        for gloss in GLOSSES:
            name = f"{split}/word {gloss}/ann_{n}"
            put(root / name, name, gloss)
    return ["--signer", "/([a-z]+)_"]


def command(*words: object) -> Any:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result


def trained(output: Path, shards: Path, *files: str, **config: object) -> dict[str, Any]:
    """The metrics of a training with these files of configs/hand_aware, for a moment."""
    graph = {"graph.channels": "[6,8]", "graph.strides": "[1,2]"}
    sizes = config | ({} if "rgb" in files[0] else graph)
    pictures = "keypoints" not in files[0]
    command(
        "train",
        *(f"--config=configs/hand_aware/{name}.yaml" for name in ("paper", *files)),
        f"--output={output}",
        f"--data.init_args.shards=[{shards}]",
        "--data.init_args.batch_size=4",
        "--data.init_args.workers=0",
        *(["--model.init_args.initial=scratch"] if pictures else []),
        *(f"--model.init_args.config.{name}={value}" for name, value in sizes.items()),
        *(["--model.init_args.size=32"] if "rgb" in files[0] else []),
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    )
    found: dict[str, Any] = json.loads((output / "metrics.json").read_text())
    return found


SMALL = {"rgb.depths": "[1,1]", "rgb.widths": "[4,8]", "rgb.image_size": 32}


@pytest.mark.parametrize(
    ("name", "layout", "row"),
    [
        ("nmfs-csl", nmfs_csl, "table_3/nmfs_csl"),
        ("msasl", msasl, "table_4/msasl100"),
        ("slr500", slr500, "table_5/slr500"),
        ("wlasl", wlasl, "table_6/wlasl"),
        ("signs", signs, "table_6/wlasl"),
    ],
)
def test_a_data_set_is_prepared_trained_on_exported_and_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: Any, row: str
) -> None:
    root, keypoints = tmp_path / "data", tmp_path / "keypoints"
    root.mkdir()
    more = layout(
        root, lambda clip, own, gloss: fake_people.write_person(clip, keypoints / own, gloss)
    )
    monkeypatch.chdir(Path(__file__).parents[2])
    prepare = ["prepare", name, "--root", root, *more, "--size", 32, "--keypoints", keypoints]
    command(*prepare, "--into", "crops", "--hands", "both", "-o", tmp_path / "hands")
    hand = trained(tmp_path / "hand", tmp_path / "hands", row, **SMALL)
    items = read_manifest(tmp_path / "hands" / "manifest.csv")
    tested = [item for item in items if item.split == "test"]
    assert (hand["glosses"], hand["test"]["clips"]) == (2, len(tested))
    assert hand["dev"]["clips"] == 2
    command("export", tmp_path / "hand" / "last.ckpt", "-o", tmp_path / "bundle")
    data = ("--data", tmp_path / "hands" / "manifest.csv", "--split", "test", "--format", "json")
    found = json.loads(command("evaluate", "--model", tmp_path / "bundle", *data).stdout)
    assert (found["items_read"], found["model_glosses"]) == (len(tested), 2)
    if name != "nmfs-csl":
        return
    # The partners of Table 2, and a fusion with a score for each kind of words.
    command(*prepare, "--into", "frames", "-o", tmp_path / "frames")
    command(*prepare, "--into", "keypoints", "-o", tmp_path / "points")
    trained(tmp_path / "pose", tmp_path / "points", "table_2/keypoints", row)
    small = {"resnet.depths": "[1,1]", "resnet.widths": "[4,4]"}
    trained(tmp_path / "rgb", tmp_path / "frames", "table_2/rgb", row, **small)
    assert hand["test"]["subsets"].keys() == {"confusing", "normal"}
    files = [tmp_path / run / "test.npz" for run in ("hand", "pose", "rgb")]
    said = json.loads(command("evaluate", "--fuse", *files, "--format", "json").stdout)
    assert {part: own["clips"] for part, own in said["subsets"].items()} == {
        "confusing": 1,
        "normal": 1,
    }
    assert said["parts"][str(files[0])]["top1"] == hand["test"]["top1"]
    assert said["top1"] == np.mean([own["top1"] for own in said["subsets"].values()])


def test_networks_are_not_given_shards_of_something_else(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "frames", into="frames")
    shards = ShardCorpus(tmp_path / "frames")
    assert len(shards) == 6
    assert next(iter(read_shards(tmp_path / "frames", "unsplit"))).present.all()
    result = CliRunner().invoke(
        app,
        [
            "train",
            *("--config", str(Path(__file__).parents[2] / "configs/hand_aware/ours.yaml")),
            f"--data.init_args.shards=[{tmp_path / 'frames'}]",
            f"--output={tmp_path / 'run'}",
        ],
    )
    assert result.exit_code == 2
    assert "expected crops, got frames" in result.stderr
