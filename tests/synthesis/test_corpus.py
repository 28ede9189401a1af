"""Clips and corpora on disk: what is written is true, repeats itself, and can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.words import is_held_out
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, read_manifest
from chereme.formats.poses import read_landmarks
from chereme.synthesis import corpus
from chereme.synthesis.corpus import Pictures, parts, transcript_of, write_clip, write_corpus
from chereme.synthesis.spelling import Motion
from chereme.video import open_video

SMALL = Pictures(96, 64, quality=20)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "hi.mp4"
    write_clip("HI U2", path, seed=4, pictures=SMALL)
    return path


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Item]]:
    folder = tmp_path_factory.mktemp("corpus")
    return folder, write_corpus(6, folder, signers=3, seed=5, pictures=SMALL)


def test_a_clip_is_a_video_its_transcript_and_its_truth(clip: Path) -> None:
    with open_video(clip) as video:
        frames = list(video)
    assert frames[0].image.shape == (64, 96, 3)
    truth = read_landmarks(clip.with_suffix(".npz"))
    assert len(truth.timestamps) == len(frames)
    np.testing.assert_allclose(truth.timestamps, [f.timestamp for f in frames], atol=1e-3)
    assert (truth.width, truth.height) == (96, 64)

    transcript = json.loads(clip.with_suffix(".json").read_text())
    assert transcript["text"] == "hi u2"
    assert [t["text"] for t in transcript["tokens"]] == list("hi u2")
    times = [t["start"] for t in transcript["tokens"]]
    assert times == sorted(times)
    assert times[0] >= 0
    assert transcript["tokens"][-1]["end"] <= truth.timestamps[-1] + 0.1


def test_the_truth_is_complete(clip: Path) -> None:
    with np.load(clip.with_suffix(".npz")) as file:
        arrays = dict(file)
    frames, hands = arrays["landmarks"].shape[:2]
    assert arrays["joints"].shape == (frames, hands, 21, 3)
    assert arrays["hand_pose"].shape == (frames, hands, 15, 3)
    assert arrays["global_orient"].shape == arrays["transl"].shape == (frames, hands, 3)
    assert arrays["betas"].shape == (hands, 10)
    assert str(arrays["hand_model"]) == corpus.open_hand().template.name
    # Joints through the camera are the landmarks.
    fx, fy, cx, cy = arrays["camera"]
    x, y, z = np.moveaxis(arrays["joints"].astype(float), -1, 0)
    np.testing.assert_allclose(fx * x / z + cx, arrays["landmarks"][..., 0], atol=0.01)
    np.testing.assert_allclose(fy * y / z + cy, arrays["landmarks"][..., 1], atol=0.01)


def test_a_seed_gives_the_same_files(clip: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.mp4", tmp_path / "other.mp4"
    write_clip("HI U2", again, seed=4, pictures=SMALL)
    write_clip("HI U2", other, seed=5, pictures=SMALL)
    assert again.read_bytes() == clip.read_bytes()
    with np.load(again.with_suffix(".npz")) as a, np.load(clip.with_suffix(".npz")) as b:
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    assert other.read_bytes() != clip.read_bytes()


def test_signers_keep_their_ways() -> None:
    one, same, other = (corpus.signer(n, 1) for n in (3, 3, 4))
    assert one.name == same.name != other.name
    np.testing.assert_array_equal(one.betas, same.betas)
    assert [h.variant for h in one.handshapes] == [h.variant for h in same.handshapes]
    assert one.skin == same.skin != other.skin
    letters = [h.letter for h in one.handshapes]
    assert len(letters) == len(set(letters)) == 36


@pytest.mark.parametrize(("signers", "few"), [(3, 1), (10, 1), (20, 2), (100, 10)])
def test_shares_of_the_parts(signers: int, few: int) -> None:
    split = parts(signers)
    assert len(split) == signers
    assert split.count("dev") == split.count("test") == few


def test_no_signer_and_no_word_is_in_two_parts(small_corpus: tuple[Path, list[Item]]) -> None:
    _, items = small_corpus
    for name in ("signer", "label"):
        of_part = [{getattr(i, name) for i in items if i.split == p} for p in ("train", "dev")]
        of_part.append({getattr(i, name) for i in items if i.split == "test"})
        assert sum(map(len, of_part)) == len(set().union(*of_part))
    for item in items:
        assert is_held_out(item.label) == (item.split != "train")


def test_the_manifest_lists_what_is_there(small_corpus: tuple[Path, list[Item]]) -> None:
    folder, items = small_corpus
    listed = read_manifest(folder / "manifest.csv")
    assert listed == items
    for item in listed:
        assert item.path.exists()
        transcript = json.loads(item.path.with_suffix(".json").read_text())
        assert transcript["text"] == item.label


def test_a_run_that_was_stopped_goes_on(
    small_corpus: tuple[Path, list[Item]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, items = small_corpus
    lost, kept = items[1].path, items[0].path
    before, untouched = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    done: list[int] = []
    write_corpus(6, folder, signers=3, seed=5, pictures=SMALL, progress=lambda n, _: done.append(n))
    assert done == [6]
    assert lost.read_bytes() == before
    assert kept.stat().st_mtime_ns == untouched


@pytest.mark.slow
def test_workers_change_nothing(small_corpus: tuple[Path, list[Item]], tmp_path: Path) -> None:
    folder, items = small_corpus
    write_corpus(6, tmp_path, signers=3, seed=5, pictures=SMALL, workers=2)
    for item in items:
        other = tmp_path / item.path.relative_to(folder)
        assert other.read_bytes() == item.path.read_bytes()


def test_spaces_have_their_place_in_the_transcript() -> None:
    motion = Motion(None, np.arange(3.0), "a b", (("a", -0.1, 1.0), ("b", 1.5, 2.0)))  # type: ignore[arg-type]
    tokens = transcript_of(motion).tokens
    assert [(t.text, t.start, t.end) for t in tokens] == [
        ("a", 0.0, 1.0),
        (" ", 1.0, 1.0),
        ("b", 1.5, 2.0),
    ]


def test_what_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="even numbers"):
        Pictures(97, 64)
    with pytest.raises(UsageError, match="at least 64"):
        Pictures(32, 64)
    with pytest.raises(UsageError, match="at least 3"):
        parts(2)
    with pytest.raises(UsageError, match="at least one for each of 10 signers"):
        write_corpus(4, tmp_path, pictures=SMALL)
    with pytest.raises(UsageError, match="cannot spell 'ñ'"):
        write_clip("Ñ", tmp_path / "x.mp4", pictures=SMALL)
    with pytest.raises(InputError, match="no picture"):
        write_clip("a", tmp_path / "x.mp4", pictures=Pictures(96, 64, tmp_path))
    assert not (tmp_path / "x.mp4").exists()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["synthesize", *map(str, arguments)])


def test_the_command_writes_a_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    result = run("ok", "-o", tmp_path / "new" / "ok.mp4", "--size", "96x64")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["ok.json", "ok.mp4", "ok.npz"]


def test_the_command_writes_landmarks_of_the_open_hand(tmp_path: Path) -> None:
    assert run("ok", "-o", tmp_path / "ok.pose").exit_code == 0
    landmarks = read_landmarks(tmp_path / "ok.pose")
    assert landmarks.handedness[0] in ("right", "left")
    assert np.isfinite(landmarks.landmarks[landmarks.confidence > 0]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either a TEXT to spell or --corpus N"),
        (("a", "--corpus", "3"), "either a TEXT to spell or --corpus N"),
        (("a", "--size", "big"), "expected WIDTHxHEIGHT"),
        (("a", "--exemplars", "e.npz"), "gives landmarks"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: tuple, message: str) -> None:
    result = run(*arguments, "-o", tmp_path / "x.mp4")
    assert isinstance(result.exception, UsageError | SystemExit)
    assert message in str(result.exception) + result.output
    assert not list(tmp_path.iterdir())


def test_unknown_kind_of_file(tmp_path: Path) -> None:
    result = run("a", "-o", tmp_path / "x.avi")
    assert "expected a name that ends in .mp4" in str(result.exception) + result.output
