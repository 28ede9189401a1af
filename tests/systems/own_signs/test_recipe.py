"""From a folder of signs to a model that reads them; and whatever else may lie in such a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chereme.datasets.pose_clips import PoseClip, PoseCorpus
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.isolated import IsolatedRecognizer, load_isolated
from chereme.synthesis.isolated import IsolatedSigns
from chereme.systems.own_signs import recipe
from chereme.systems.own_signs.abstention import UNTESTED
from chereme.systems.own_signs.recipe import Plan, plan, train_signs, work_folder
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.recognizer import SignBertConfig
from chereme.types import Landmarks
from fake_clips import ColourDetectors, write_frames

Write = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("one_thread")


def landmarks(clip: PoseClip) -> Landmarks:
    depth = np.where(np.isfinite(clip.joints[..., :1]), 0.0, np.nan)
    points = np.concatenate([clip.joints, depth], axis=-1).astype(np.float32)
    times = np.arange(clip.entry.frames) / clip.entry.rate
    return Landmarks(points, clip.confidence, times, 640, 480, ("left", "right"))


def sign(path: Path, frames: int = 6, hand: bool = True, seed: int = 0) -> Path:
    """A clip of hands whose joints are anywhere."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(50, 400, (frames, 2, 21, 3)).astype(np.float32)
    seen = np.full((frames, 2, 21), 0.9 if hand else 0.0, np.float32)
    points[seen == 0] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    write_landmarks(
        Landmarks(points, seen, np.arange(frames) / 25, 640, 480, ("left", "right")), path
    )
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three signs by five signers, as ``<gloss>/<signer>_<n>.npz``."""
    folder = tmp_path_factory.mktemp("made") / "signs"
    for clip in IsolatedSigns(30, glosses=3, signers=5, noise=False):
        who = clip.entry.signer.replace("_", "-")
        path = folder / clip.entry.label / f"{who}_{clip.entry.id[-4:]}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_landmarks(landmarks(clip), path)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes no time."""
    config = SignBertConfig()
    gesture = replace(config.encoder.gesture, widths=(4, 8))
    encoder = replace(
        config.encoder, gesture=gesture, dim=12, heads=2, layers=1, feed_forward=16, dropout=0.0
    )
    monkeypatch.setattr(recipe, "network", lambda: replace(config, encoder=encoder))
    monkeypatch.setattr(recipe, "OTHER_CLIPS", (12, 12))


@pytest.fixture
def teach(small: None, tmp_path: Path) -> Callable[..., Any]:
    """Trains for an epoch; what was said is ``said`` of the report."""

    def run(folder: Path, **options: Any) -> tuple[Any, str]:
        said: list[str] = []
        settings = {"epochs": 1, "say": said.append, **options}
        report = train_signs(folder, tmp_path / "model", **settings)
        return report, "\n".join(said)

    return run


# -- it learns -------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_folder_becomes_a_model_that_reads_its_signs(made: Path, tmp_path: Path) -> None:
    done: list[tuple[str, int]] = []

    class Bar:
        def __init__(self, name: str, unit: str) -> None:
            self.name = name

        def __enter__(self) -> Callable[[int, int | None], None]:
            return lambda count, expected: done.append((self.name, count))

        def __exit__(self, *_: object) -> None:
            pass

    report = train_signs(
        made,
        tmp_path / "model",
        signer="/([^_]+)_",
        epochs=40,
        bars=Bar,  # type: ignore[arg-type]
    )
    assert report.division.by == "signer"
    assert (len(report.trained), len(report.guesses)) == (24, 6)
    assert sum(guess.rank == 1 for guess in report.guesses) >= 5
    assert ("looking for hands", 30) in done
    assert max(count for name, count in done if name == "training") == 160
    bundle = Bundle.load(tmp_path / "model")
    assert bundle.config.classes == report.glosses == ("sign-0000", "sign-0001", "sign-0002")
    assert bundle.config.metrics[0]["value"] == report.scores()[0]["value"] >= 80
    assert bundle.config.preprocessing.sampling == "spread"
    text = (work_folder(tmp_path / "model") / "report.md").read_text()
    assert f"$ chereme recognize CLIP --model {tmp_path / 'model'}" in text
    assert "6 clips of signers that were not trained on" in text
    assert "![" in text
    assert (work_folder(tmp_path / "model") / "confusion.png").stat().st_size > 2000


def test_what_is_done_is_not_done_again(
    teach: Callable[..., Any], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command after an end goes on from the checkpoint; other settings begin anew."""
    steps: list[int] = []

    class Counted(recipe._Bar):
        def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
            steps.append(trainer.global_step)
            if len(steps) == stop:
                raise SystemExit(1)  # as Lightning does on Ctrl-C

    monkeypatch.setattr(recipe, "_Bar", Counted)
    stop, whole = 0, {"epochs": 3, "signer": "/([^_]+)_"}
    teach(made, **whole)
    assert steps == list(range(1, 13))  # of 24 clips of signs, and 12 of others
    weights = torch.load(work_folder(tmp_path / "model") / "last.ckpt", weights_only=True)
    steps.clear()
    teach(made, **whole)
    assert steps == []
    shutil.rmtree(work_folder(tmp_path / "model"))
    stop = 6  # in the second epoch
    with pytest.raises(KeyboardInterrupt):
        teach(made, **whole)
    stop = 0
    steps.clear()
    teach(made, **whole)
    assert steps[0] == 5
    again = torch.load(work_folder(tmp_path / "model") / "last.ckpt", weights_only=True)
    for name, value in weights["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name]), name
    steps.clear()
    teach(made, **whole, seed=1)
    assert steps[0] == 1


def test_a_pretraining_is_fine_tuned(teach: Callable[..., Any], made: Path, tmp_path: Path) -> None:
    teach(made)
    given = tmp_path / "given.ckpt"
    shutil.copy(work_folder(tmp_path / "model") / "last.ckpt", given)
    report, _ = teach(made, initial=given)
    assert report.about["learning_rate"] == plan(24, pretrained=True).learning_rate
    with pytest.raises(BundleError, match="no such checkpoint"):
        teach(made, initial=tmp_path / "nothing.ckpt")


# -- signs that it does not know ------------------------------------------------------------------
@pytest.mark.slow
def test_signs_that_it_does_not_know_are_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six made-up signs are learnt; most clips of six others get no answer, most of these do."""
    monkeypatch.setattr(recipe, "FEWEST", 99)  # no further trainings
    folder = tmp_path / "signs"
    unknown, known = [], []
    # Of four draws of signs and signers two are told apart so well: sixty clips are few.
    for clip in IsolatedSigns(120, glosses=12, signers=10, noise=False, seed=2, lexicon_seed=2):
        if clip.entry.label >= "sign-0006":
            unknown.append(landmarks(clip))
            continue
        known.append(landmarks(clip))
        who = clip.entry.signer.replace("_", "-")
        path = folder / clip.entry.label / f"{who}_{clip.entry.id[-4:]}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_landmarks(known[-1], path)
    train_signs(folder, tmp_path / "model", signer="/([^_]+)_", epochs=25)
    model = load_isolated(tmp_path / "model")
    assert model.config.abstention.other
    abstains, always = IsolatedRecognizer(model), IsolatedRecognizer(model, min_probability=0)
    answered = [
        np.mean([bool(abstains.recognize(clip).text) for clip in clips])
        for clips in (known, unknown)
    ]
    assert answered[0] > 0.8
    assert answered[1] < 0.35
    assert all(always.recognize(clip).text for clip in unknown)
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "There is no answer where no gloss has a probability of" in card


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Six signs by three signers."""
    for number in range(6):
        for place, who in enumerate(("ann", "bob", "cat")):
            path = tmp_path / "signs" / f"sign {number}" / f"{who}_1.npz"
            sign(path, seed=10 * number + place)
    return tmp_path / "signs"


def test_each_sign_is_left_out_once(
    teach: Callable[..., Any], six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, _ = teach(six, signer="/(.*)_")
    assert report.unknown.signs == tuple(f"sign {number}" for number in range(6))
    assert (report.unknown.unknown, report.unknown.known) == (6, 12)
    left = [PoseData([str(work_folder(report.model) / "poses")], dev=[], without=["sign 0"])]
    left[0].setup()
    assert left[0].classes == tuple(f"sign {number}" for number in range(1, 6))
    monkeypatch.setattr(recipe, "FEW_CLIPS", 0)
    report, _ = teach(six, signer="/(.*)_", seed=1)
    assert (len(report.unknown.signs), report.unknown.unknown) == (2, 2)
    text = (work_folder(report.model) / "report.md").read_text()
    assert "other signs that are given an answer (false acceptance)" in text
    assert "known signs that are rejected (false rejection)" in text
    described = report.description()
    assert described["abstention"]["other"] is True
    assert {"false_acceptances", "false_rejections"} <= described["metrics"][-1].keys()


def test_the_rule_of_the_test_is_that_of_all_clips(
    teach: Callable[..., Any], signs: Path, tmp_path: Path
) -> None:
    untested, said = teach(signs, test=False)
    assert untested.abstention == UNTESTED.abstention
    assert "train without --all first" in said + " ".join(untested.notes)
    tested, _ = teach(signs)
    assert "strangers will be rejected more often" in " ".join(tested.notes)
    final, _ = teach(signs, test=False)
    assert final.abstention == tested.abstention != untested.abstention
    bundle = Bundle.load(tmp_path / "model")
    assert bundle.config.abstention == final.abstention
    assert "was not measured" in (work_folder(final.model) / "report.md").read_text()


def test_few_clips_are_seen_often() -> None:
    few, some, many = plan(25), plan(400), plan(5000)
    assert (few.epochs, many.epochs) == (120, 25)
    assert few.epochs > some.epochs > many.epochs
    assert few.batch_size < some.batch_size == many.batch_size == 32
    assert plan(1) == Plan(120, 8, few.learning_rate)
    assert plan(400, epochs=7).epochs == 7


# -- what lies in folders --------------------------------------------------------------------------
@pytest.fixture
def signs(tmp_path: Path) -> Path:
    """Two signs by two signers, twice each."""
    for number, name in enumerate(("yes/ann_1", "yes/ann_2", "yes/bob_1", "yes/bob_2")):
        sign(tmp_path / "signs" / f"{name}.npz", seed=number)
        sign(tmp_path / "signs" / f"{name.replace('yes', 'no')}.npz", seed=10 + number)
    return tmp_path / "signs"


def test_whatever_lies_there_is_told_of(teach: Callable[..., Any], signs: Path) -> None:
    (signs / "empty").mkdir()
    sign(signs / "once" / "ann_1.npz")
    sign(signs / "hidden" / "ann_1.npz", hand=False)
    sign(signs / "Yes" / "cat_1.npz", frames=1)
    (signs / "yes" / "notes.txt").write_text("no clip")
    (signs / "yes" / "ann_9.mp4").write_bytes(b"no video")
    (signs / "README.md").write_text("")
    sign(signs / "lost.npz")
    report, said = teach(signs, signer="/([a-z]+)_")
    for told in (
        "signs without any clip, which the model will not know: empty",
        "1 files are no clips (videos, folders of frames, .pose, .npz) and are left out: "
        "yes/notes.txt",
        "1 clips lie in no folder of a sign and are left out: lost.npz",
        "10 of 13 clips prepared",
        "1 no clip in its folder",
        "1 cannot be read",
        "1 no hand seen",
        "which the model will not know: hidden",
        "Yes, yes: taken for one sign, yes",
        "signs of a single clip, which are learnt badly: once",
        "clips of one frame, in which no movement is to be seen: Yes/cat_1.npz",
    ):
        assert told in said, said
    assert report.glosses == ("no", "once", "yes")
    text = (work_folder(report.model) / "report.md").read_text()
    assert "| yes/ann_9.mp4 | cannot be read |" in text
    assert "| empty | no clip in its folder |" in text
    assert "Yes, yes: taken for one sign, yes" in text
    poses = PoseCorpus(work_folder(report.model) / "poses")
    assert {entry.label for entry in poses.entries} == {"no", "once", "yes"}


def test_without_signers_it_is_said_of_whom_the_accuracy_is(
    teach: Callable[..., Any], signs: Path
) -> None:
    for options in ({}, {"signer": "/(a|b|n).*_"}):
        report, said = teach(signs, **options)
        if not options:
            assert report.division.by == "clip"
            assert "The signers are not known (--signer REGEX" in said
            assert "NOT that of unseen signers" in said
            text = (work_folder(report.model) / "report.md").read_text()
            assert "2 clips of the signers that were trained on" in text
    assert report.division.by == "signer"
    shutil.rmtree(signs / "yes")
    for number in range(3):
        sign(signs / "yes" / f"ann_{number}.npz")
        (signs / "no" / f"bob_{number}.npz").unlink(missing_ok=True)
    report, said = teach(signs, signer="/([a-z]+)_")
    assert "All clips are of one signer (ann)" in said
    report, said = teach(signs, signer="/([a-z]+)_[01]")
    assert "the signer is not found in 2 clips: no/ann_2.npz, yes/ann_2.npz" in said


def test_all_clips_can_be_trained_on(teach: Callable[..., Any], signs: Path) -> None:
    report, _ = teach(signs, test=False)
    assert (len(report.trained), report.guesses, report.scores()) == (8, (), [])
    assert "not tested" in report.summary()
    assert not (work_folder(report.model) / "confusion.png").exists()
    assert "It was not tested" in (work_folder(report.model) / "report.md").read_text()


def test_a_gloss_that_only_the_test_has_counts_as_wrong(
    teach: Callable[..., Any], signs: Path, tmp_path: Path
) -> None:
    shutil.copytree(signs, tmp_path / "split" / "train")
    sign(tmp_path / "split" / "test" / "yes" / "1.npz")
    sign(tmp_path / "split" / "test" / "maybe" / "1.npz")
    report, said = teach(tmp_path / "split")
    assert "Tested but not trained on, and so always read wrongly: maybe." in said
    assert report.glosses == ("no", "yes")
    places = {guess.entry.label: guess.rank for guess in report.guesses}
    assert places["yes"] in (1, 2)
    assert places["maybe"] > 1000
    shutil.rmtree(tmp_path / "split" / "train")
    with pytest.raises(InputError, match="clips in its split train, got none"):
        teach(tmp_path / "split")


def test_a_manifest_will_do(teach: Callable[..., Any], signs: Path) -> None:
    rows = [f"{p.relative_to(signs)},{p.parent.name},{p.name[:3]}" for p in signs.rglob("*.npz")]
    (signs / "manifest.csv").write_text("\n".join(["path,label,signer", *sorted(rows)]) + "\n")
    report, _ = teach(signs)
    assert report.division.by == "signer"
    assert len(report.entries) == 8


def test_folders_of_frames_are_looked_at(teach: Callable[..., Any], tmp_path: Path) -> None:
    for gloss, left in (("yes", False), ("no", True)):
        for number in range(3):
            write_frames(tmp_path / "signs" / gloss / f"{number}", 4, left=left)
    report, _ = teach(tmp_path / "signs", make_detector=ColourDetectors(), rate=10.0)
    assert len(report.entries) == 6
    assert {entry.rate for entry in report.entries} == {10.0}


# -- what cannot be --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ("one sign", UsageError, "at least 2 signs to tell apart, each a folder with clips, got"),
        ("one sign in two cases", UsageError, "at least 2 signs to tell apart.*'yes'"),
        ("no hands", UsageError, "got 'yes'; dropped clips: 4 no hand seen"),
        ("no hands at all", InputError, "(?s)0 of 8 clips prepared.*nothing was prepared"),
        ("no folder", InputError, "No such file or directory"),
        ("nothing in it", InputError, "expected a folder for each sign"),
        ("clips without folders", InputError, "<gloss>/<clip>, got no folder at all"),
        ("empty folders", InputError, "2 no clip in its folder"),
        ("frames without folders", InputError, "no clip in its folder"),
    ],
)
def test_what_cannot_be_trained_on_is_said_at_once(teach, signs, change, error, said) -> None:
    clips = sorted(signs.rglob("*.npz"))
    if change == "one sign":
        shutil.rmtree(signs / "no")
    elif change == "one sign in two cases":
        (signs / "no").rename(signs / "YES")
    elif change in ("no hands", "no hands at all"):
        for clip in clips:
            if clip.parent.name == "no" or change == "no hands at all":
                sign(clip, hand=False)
    elif change in ("no folder", "nothing in it"):
        shutil.rmtree(signs)
        if change == "nothing in it":
            signs.mkdir()
    elif change == "clips without folders":
        for clip in clips:
            clip.rename(signs / f"{clip.parent.name}-{clip.name}")
        (signs / "no").rmdir()
        (signs / "yes").rmdir()
    else:
        for clip in clips:
            clip.unlink()
        if change == "frames without folders":
            write_frames(signs / "yes", 4)
    with pytest.raises(error, match=said):
        teach(signs)


def test_a_folder_of_something_else_is_not_overwritten(
    teach: Callable[..., Any], signs: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.docx").write_text("mine")
    with pytest.raises(UsageError, match="name of a new folder, or of a model to replace"):
        teach(signs)
    assert not work_folder(tmp_path / "model").exists()
    with pytest.raises(UsageError, match="epochs: expected at least 1, got 0"):
        train_signs(signs, tmp_path / "other", epochs=0)
    with pytest.raises(UsageError, match="one group, the signer's name"):
        train_signs(signs, tmp_path / "other", signer="ann")
