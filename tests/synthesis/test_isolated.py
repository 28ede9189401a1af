"""Made-up isolated signs: always the same, of many signers, and what they claim to be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.pose_clips import PoseCorpus, write_poses
from chereme.errors import UsageError
from chereme.hands.skeleton import PARENTS
from chereme.synthesis.isolated import IsolatedSigns, lexicon

SIGNS = IsolatedSigns(60, glosses=6, signers=10)


def test_signs_are_different_and_repeat_themselves() -> None:
    signs = lexicon(80, 3)
    assert len({sign.identity for sign in signs}) == len({sign.name for sign in signs}) == 80
    assert {sign.hands for sign in signs} == {"one", "mirrored", "base"}
    lexicon.cache_clear()
    assert lexicon(80, 3) == signs != lexicon(80, 4)
    with pytest.raises(UsageError, match="at least 2"):
        lexicon(1, 0)


def test_clips_repeat_themselves_in_any_order() -> None:
    again = IsolatedSigns(60, glosses=6, signers=10)
    for index in (17, 3):
        one, two = SIGNS.clip(index), again.clip(index)
        assert one.entry == two.entry
        np.testing.assert_array_equal(one.joints, two.joints)
        np.testing.assert_array_equal(one.confidence, two.confidence)
    other = IsolatedSigns(60, glosses=6, signers=10, seed=1).clip(3)
    assert other.entry.frames != one.entry.frames or not np.array_equal(
        other.joints, one.joints, equal_nan=True
    )


def test_signers_are_apart_and_sign_everything() -> None:
    entries = [SIGNS.clip(index).entry for index in range(len(SIGNS))]
    split_of: dict[str, set[str]] = {}
    for entry in entries:
        split_of.setdefault(entry.signer, set()).add(entry.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert Counter(next(iter(s)) for s in split_of.values()) == {"train": 8, "dev": 1, "test": 1}
    assert set(Counter((e.signer, e.label) for e in entries).values()) == {1}
    assert [SIGNS.describe(i) for i in (0, 8)] == [
        (entries[i].id, entries[i].split) for i in (0, 8)
    ]


def test_without_noise_bones_are_those_of_the_signer() -> None:
    """Seen from afar (weak perspective) no bone is longer than it is, and some are seen whole."""
    signs = IsolatedSigns(30, glosses=3, signers=10, noise=False)
    longest: dict[str, list[np.ndarray]] = {}
    for index in range(0, 30, 10):
        clip = signs.clip(index)
        hands = clip.joints[clip.present]
        assert (clip.confidence[clip.present] == 1).all()
        bones = np.linalg.norm(hands - hands[:, np.maximum(PARENTS, 0)], axis=-1)[:, 1:]
        palm = np.percentile(bones[:, [0, 4, 8, 12, 16]].max(1), 95)
        longest.setdefault(clip.entry.signer, []).append(bones.max(0) / palm)
    for measured in longest.values():
        assert np.all(np.max(measured, axis=0) < 1.4)


def test_both_hands_are_the_signers_own() -> None:
    """A right hand that signs alone is seen on the left of the picture, and mirrored hands mirror
    each other: about one vertical, the thumbs to it or from it."""
    errors, sides = [], []
    for index in range(len(SIGNS)):
        clip, gloss = SIGNS.clip(index), SIGNS.gloss(index)
        both = clip.present.all(1)
        if both.any():
            x = clip.joints[both][..., 0].mean(axis=(0, 2))
            sides.append(x[1] < x[0])
        if gloss.hands == "mirrored" and both.sum() > 8:
            left, right = (clip.joints[both][:, side] for side in (0, 1))
            mirrored = np.stack([-right[..., 0], right[..., 1]], -1)
            shape = [h - h[:, :1] for h in (left, mirrored)]
            error = np.median(np.linalg.norm(shape[0] - shape[1], axis=-1))
            errors.append(error / np.median(np.linalg.norm(shape[0][:, 9], axis=-1)))
    assert np.mean(sides) > 0.95  # a wide stroke may cross
    # In palms. A hand that is a frame late, or mistaken, is further off while it moves fast.
    assert np.median(errors) < 0.2
    assert np.quantile(errors, 0.9) < 0.35


def test_they_are_written_to_a_folder_of_poses(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    count = write_poses(SIGNS, tmp_path, progress=lambda *done: told.append(done))
    corpus = PoseCorpus(tmp_path)
    assert count == len(corpus) == 60
    assert told[-1] == (60, 60)
    np.testing.assert_array_equal(corpus[5].joints, SIGNS.clip(5).joints)


@pytest.mark.parametrize(("more", "said"), [({"clips": 3}, "each of 10"), ({"rate": 0}, "rate")])
def test_what_cannot_be_is_refused(more, said) -> None:
    with pytest.raises(UsageError, match=said):
        IsolatedSigns(**{"clips": 20, **more})
