"""Clips of single letters and digits: their glosses are true, and signers are kept apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.exemplars import LETTERS, Exemplars, concat_exemplars
from chereme.datasets.pose_clips import PoseClip, PoseCorpus, write_poses
from chereme.errors import UsageError
from chereme.synthesis.letters import DIGIT_FRACTION, LOOK_ALIKES, LetterClips

RIGHT = 1


def of_letters(exemplars: Exemplars, letters: str) -> Exemplars:
    """The exemplars of some letters, so that few clips do."""
    kept = np.isin(exemplars.label, [*letters])
    return replace(
        exemplars,
        landmarks=exemplars.landmarks[kept],
        label=exemplars.label[kept],
        signer=exemplars.signer[kept],
        picture=exemplars.picture[kept],
        vectors=exemplars.vectors[kept],
    )


def with_digits(exemplars: Exemplars) -> Exemplars:
    """Digits of signer "one": 0 has the handshape of b (not of o), 5 that of a."""
    part = of_letters(exemplars.select(only=("one",)), "ab")
    digits = replace(
        part,
        label=np.where(part.label == "b", "0", "5"),
        motion_landmarks=part.motion_landmarks[:0],
        motion_label=part.motion_label[:0],
        motion_signer=part.motion_signer[:0],
    )
    return concat_exemplars([exemplars, digits])


def clips_of(exemplars: Exemplars, clips: int, **changes: object) -> list[PoseClip]:
    return list(LetterClips(exemplars, clips, **changes))  # type: ignore[arg-type]


def straight(clip: PoseClip) -> np.ndarray:
    """``(T, 4)``: how far each finger's tip is from its first joint, in palms."""
    joints = clip.joints[:, RIGHT].astype(float)
    palm = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=-1, keepdims=True)
    return np.linalg.norm(joints[:, 8::4] - joints[:, 5::4], axis=-1) / palm


def test_a_seed_gives_the_same_clips(exemplars: Exemplars) -> None:
    one, same, other = (clips_of(exemplars, 30, seed=seed) for seed in (3, 3, 4))
    for a, b in zip(one, same, strict=True):
        assert a.entry == b.entry
        np.testing.assert_array_equal(a.joints, b.joints)
        np.testing.assert_array_equal(a.confidence, b.confidence)
    assert any(a.entry.frames != b.entry.frames for a, b in zip(one, other, strict=True))


def test_letters_are_equally_frequent(exemplars: Exemplars) -> None:
    made = clips_of(exemplars, 78)
    assert Counter(clip.entry.label for clip in made) == dict.fromkeys(LETTERS, 3)
    assert len({clip.entry.id for clip in made}) == 78
    for clip in made:
        assert clip.joints.shape == (clip.entry.frames, 2, 21, 2)
        seen = clip.confidence > 0
        assert np.isfinite(clip.joints[seen]).all()
        assert seen[:, RIGHT].any()


def test_look_alikes_are_told_apart_by_their_share_alone(exemplars: Exemplars) -> None:
    # Of the other look-alikes there are no exemplars.
    made = clips_of(with_digits(of_letters(exemplars, "aboz")), 300)
    counts = Counter(clip.entry.label for clip in made)
    assert set(counts) == {*"aboz", "0", "5"}
    assert counts["0"] + counts["o"] == counts["5"] == counts["a"] == 60
    assert counts["0"] == pytest.approx(60 * DIGIT_FRACTION, abs=12)
    # Exemplars of 0 have a straight middle finger, as those of b, and o has not: both are under
    # both glosses.
    shown: dict[str, list[float]] = defaultdict(list)
    for clip in made:
        if clip.entry.label in ("0", "o"):
            shown[clip.entry.label].append(float(straight(clip)[len(clip.joints) // 2, 1]))
    for label in ("0", "o"):
        assert np.ptp(shown[label]) > 0.3, label


def test_clips_are_of_all_kinds(exemplars: Exemplars) -> None:
    made = clips_of(of_letters(exemplars, "abjz"), 240)
    single = [clip for clip in made if clip.entry.frames == 1]
    assert 4 < len(single) < 40
    assert {clip.entry.label for clip in single} <= {"a", "b"}
    other = [clip for clip in made if (clip.confidence[:, 0] > 0).any()]
    assert 0.15 < len(other) / len(made) < 0.35
    sizes = [np.ptp(clip.joints[0, RIGHT], axis=0).max() for clip in made]
    assert max(sizes) / min(sizes) > 5


def test_j_and_z_move(exemplars: Exemplars) -> None:
    moved = defaultdict(list)
    for clip in clips_of(of_letters(exemplars, "abcjz"), 150):
        tips = clip.joints[:, RIGHT, [8, 20]].astype(float)
        palm = np.linalg.norm(clip.joints[0, RIGHT, 9] - clip.joints[0, RIGHT, 0])
        steps = np.linalg.norm(np.diff(tips, axis=0), axis=-1) / palm
        moved[clip.entry.label].append(np.nansum(steps, axis=0).max(initial=0))
    still = np.median([way for label, ways in moved.items() if label not in "jz" for way in ways])
    for label in "jz":
        assert np.median(moved[label]) > 1.3 * still, label


def test_signers_are_kept_apart(exemplars: Exemplars) -> None:
    made = LetterClips(exemplars, 40, test=("two",))
    assert len(made) == len(list(made)) == 44
    counts = Counter((clip.entry.split, clip.entry.signer) for clip in made)
    assert counts == {("train", ""): 40, ("test", "two"): 4}
    # Nothing of the tested signer is in the clips to train on.
    noise = np.random.default_rng(0).normal(0, 30, exemplars.landmarks.shape)
    noise[exemplars.signer == "one"] = 0.0
    changed = replace(exemplars, landmarks=(exemplars.landmarks + noise).astype(np.float32))
    for one, other in zip(made, LetterClips(changed, 40, dev=("two",)), strict=False):
        if one.entry.split == "train":
            np.testing.assert_array_equal(one.joints, other.joints)


@pytest.mark.parametrize(
    ("clips", "kept", "message"),
    [
        (100, ("three",), "expected some of one, two, got three"),
        (100, ("one", "two"), "one to train on"),
        (9, (), "at least 10, got 9"),
    ],
)
def test_wrong_use(exemplars: Exemplars, clips: int, kept: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LetterClips(exemplars, clips, test=kept)


def test_written_and_read(exemplars: Exemplars, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    made = LetterClips(exemplars, 26)
    assert write_poses(made, tmp_path, progress=lambda *step: steps.append(step)) == 26
    assert steps == [(k, 26) for k in range(1, 27)]
    corpus = PoseCorpus(tmp_path)
    assert len(corpus) == 26
    for number, clip in enumerate(made):
        back = corpus[number]
        assert clip.entry == back.entry
        np.testing.assert_allclose(back.confidence, clip.confidence)


def test_look_alikes_are_letters() -> None:
    assert set(LOOK_ALIKES.values()) < set(LETTERS)
