"""What teachers say of clips, in shards: with real parts where they matter."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.folders import read
from chereme.datasets.prepare_crops import SETTINGS, prepare_crops
from chereme.datasets.shards import Sample, read_shards
from chereme.datasets.status import read_status
from chereme.errors import UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.hands.normalise import shape_features
from chereme.teachers.hamer import Hamer, HamerConfig, HamerTeacher
from chereme.teachers.hamer_crop import hamer_crop
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.teachers.opening import open_teachers
from chereme.teachers.pose_transformer import PoseTransformerConfig
from chereme.teachers.vit import ViTConfig
from chereme.training.shards import vectors_of
from chereme.video import write_video
from fake_clips import ColourDetectors, draw, pattern, write_frames

SLIM = HamerConfig(
    ViTConfig(dim=32, depth=1, heads=2, mlp_dim=32),
    PoseTransformerConfig(dim=24, depth=1, heads=2, head_dim=8, mlp_dim=16, context_dim=32),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A right and a left hand."""
    folder = tmp_path / "source"
    items = [
        Item(write_frames(folder / name, 5, left=name == "left"), "ab", name, name, "train")
        for name in ("right", "left")
    ]
    write_manifest(items, folder / "manifest.csv")
    return folder / "manifest.csv"


def prepared(manifest: Path, folder: Path, teachers: list, **options: Any) -> list[Sample]:
    prepare_crops(read(manifest), folder, teachers, make_detector=ColourDetectors(), **options)
    return list(read_shards(folder, "train"))


def test_hamer_sees_the_crops_that_the_student_will_see(manifest: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = HamerTeacher(Hamer(SLIM), batch_size=2)
    right, left = prepared(manifest, tmp_path / "out", [teacher])
    for sample in (right, left):
        crops = sample.crops
        for vectors, seen in (
            (sample.teacher, crops),
            (sample.teacher_mirrored, crops[:, :, ::-1]),
        ):
            assert vectors["hamer"].shape == (5, 24)
            np.testing.assert_allclose(vectors["hamer"], teacher.embed(seen), rtol=2e-3, atol=2e-3)
        both = sample.teacher["hamer"], sample.teacher_mirrored["hamer"]
        assert np.abs(both[0] - both[1]).max() > 0.05
    # The left hand was turned into a right one, before any teacher saw it.
    np.testing.assert_allclose(left.teacher["hamer"], right.teacher["hamer"], atol=0.02)


def test_hamer_sees_its_own_crop(manifest: Path, tmp_path: Path) -> None:
    """Twice the hand, wider for its 3:4 frame; in single precision, number by number."""
    torch.manual_seed(0)
    teacher = HamerTeacher(Hamer(SLIM), batch_size=2)
    own = {"teacher_crop": "own", "precision": "single"}
    right, left = prepared(manifest, tmp_path / "out", [teacher], **own)
    extent = np.ptp(pattern()[:, :2], axis=0)
    side = 2 * max(extent[1], extent[0] * 4 / 3)
    low = pattern()[:, :2].min(axis=0)
    crops = []
    for frame in range(5):
        image = draw(frame)
        rows, columns = np.nonzero(image.max(axis=2) > 130)
        middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) + low + extent / 2
        crops.append(hamer_crop(image, *middle, side, mirrored=False))
    expected = teacher.embed(np.stack(crops)), teacher.embed(np.stack(crops)[:, :, ::-1])
    found = right.teacher["hamer"], right.teacher_mirrored["hamer"]
    for vectors, wanted in zip(found, expected, strict=True):
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(left.teacher["hamer"], found[0], atol=0.02)
    shared, _ = prepared(manifest, tmp_path / "shared", [teacher])
    assert shared.teacher["hamer"].dtype == np.float16
    assert np.abs(shared.teacher["hamer"] - found[0]).max() > 0.05
    assert shared.jpegs == right.jpegs  # what the student sees is the same


def test_how_vectors_were_made_is_recorded_and_compared(manifest: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teachers = [HamerTeacher(Hamer(SLIM))]
    folders = [str(tmp_path / name) for name in ("own", "shared", "again")]
    prepared(manifest, tmp_path / "own", teachers, teacher_crop="own")
    for folder in folders[1:]:
        prepared(manifest, Path(folder), teachers)
    assert vectors_of(folders[:1]) == {"teacher_crop": "own", "precision": "half"}
    assert vectors_of(folders[1:]) == {"teacher_crop": "shared", "precision": "half"}
    with pytest.raises(UsageError, match=r"one teacher_crop and precision.*'own'.*'shared'"):
        vectors_of(folders)
    with pytest.raises(UsageError, match=r"was prepared otherwise \(crop: .*'own'"):
        prepared(manifest, tmp_path / "own", teachers)
    with pytest.raises(UsageError, match="own is for hamer or hamer-vit"):
        prepared(manifest, tmp_path / "other", [LandmarkTeacher()], teacher_crop="own")
    # Folders of before there was a choice go on as what they are.
    path = tmp_path / "shared" / SETTINGS
    about = json.loads(path.read_text())
    del about["crop"]["teacher_crop"], about["crop"]["precision"]
    path.write_text(json.dumps(about))
    prepared(manifest, tmp_path / "shared", teachers)
    with pytest.raises(UsageError, match="was prepared otherwise"):
        prepared(manifest, tmp_path / "shared", teachers, precision="single")


def test_several_teachers(manifest: Path, tmp_path: Path) -> None:
    for name in ("right", "left"):
        for ending, value in ((".npy", 1.0), (".flip.npy", 2.0)):
            path = tmp_path / "pixie" / f"{name}{ending}"
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.full((5, 3), value, np.float32))
    (tmp_path / "pixie" / "left.flip.npy").unlink()
    teachers = open_teachers(["landmarks", "precomputed"], vectors=[tmp_path / "pixie"])
    right, left = prepared(manifest, tmp_path / "out", teachers)
    assert set(right.teacher) == set(right.teacher_mirrored) == {"landmarks", "pixie"}
    assert (right.teacher["pixie"] == 1).all()
    assert (right.teacher_mirrored["pixie"] == 2).all()
    assert set(left.teacher_mirrored) == {"landmarks"}
    expected = shape_features(pattern()[None])[0]
    for sample in (right, left):
        np.testing.assert_allclose(
            sample.teacher["landmarks"], expected[None].repeat(5, 0), atol=2e-3
        )


def test_the_command_finds_real_hands(shared_data: Path, tmp_path: Path) -> None:
    """MediaPipe itself, on a photograph that is moved about, beside a file that is no video."""
    import cv2

    with (shared_data / "letters_studio" / "index.csv").open() as table:
        path = next(row["path"] for row in csv.DictReader(table) if row["label"] == "b")
    photo = cv2.imread(str(shared_data / "letters_studio" / path))
    photo = cv2.resize(photo, (240, 240))[..., ::-1]
    frames = []
    for t in range(12):
        frame = np.zeros((480, 640, 3), np.uint8)
        frame[120 : 120 + 240, 100 + 4 * t : 340 + 4 * t] = photo
        frames.append(frame)
    (tmp_path / "source").mkdir()
    write_video(tmp_path / "source" / "hand.mp4", frames, 25)
    (tmp_path / "source" / "bad.mp4").write_bytes(b"x" * 99)
    rows = "path,label,split\nhand.mp4,b,test\nbad.mp4,a,test\n"
    (tmp_path / "source" / "manifest.csv").write_text(rows)
    options = ("folder", "--root", tmp_path / "source", "-o", tmp_path / "out", "--size", 128)
    result = run("prepare", *options, "--teacher", "landmarks")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "manifest: 1 of 2 clips prepared" in result.stderr
    assert "dropped 1: 1 cannot be read" in result.stderr
    (sample,) = read_shards(tmp_path / "out", "test")
    assert sample.present.mean() > 0.8
    assert sample.crops.shape == (12, 128, 128, 3)
    middles = np.nanmean(sample.landmarks[..., :2], axis=(1, 2))
    np.testing.assert_allclose(middles[sample.present], 64, atol=16)
    vectors = sample.teacher["landmarks"][sample.present]
    assert vectors.any(axis=1).all()

    again = run("prepare", *options)
    assert again.exit_code == 2
    assert "was prepared otherwise (teachers:" in again.stderr


@pytest.mark.slow
def test_a_synthetic_corpus(tmp_path: Path) -> None:
    """Rendered hands, found by MediaPipe, with the pose that they were rendered with."""
    from chereme.synthesis.corpus import Pictures, write_clip

    folder = tmp_path / "corpus"
    for seed, name in ((3, "one"), (4, "two")):
        write_clip("ab", folder / f"{name}.mp4", seed=seed, pictures=Pictures(320, 240))
    table = "path,label,id,split\none.mp4,ab,one,train\ntwo.mp4,ab,two,train\n"
    (folder / "manifest.csv").write_text(table)
    options = ("--root", folder, "-o", tmp_path / "out", "--workers", 2)
    teachers = ("--teacher", "synthetic", "--teacher", "landmarks")
    result = run("prepare", "folder", *options, *teachers)
    assert result.exit_code == 0, result.stderr
    rows = read_status(tmp_path / "out")
    assert [(row.id, row.status) for row in rows] == [("one", "done"), ("two", "done")], rows
    for sample in read_shards(tmp_path / "out", "train"):
        assert {name: v.shape[1] for name, v in sample.teacher.items()} == {
            "synthetic": 106,
            "landmarks": 228,
        }
        with np.load(folder / f"{sample.id}.npz") as truth:
            assert len(truth["timestamps"]) == len(sample.jpegs)
            betas = truth["betas"][[0]].repeat(len(sample.jpegs), 0)
            np.testing.assert_allclose(sample.teacher["synthetic"][:, 96:], betas, atol=2e-3)
