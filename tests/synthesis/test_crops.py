"""Clips rendered as crops: true, repeatable, and like those that are cut out of whole videos."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.datasets.clips import CropSettings
from chereme.datasets.words import is_held_out
from chereme.errors import UsageError
from chereme.hands.crop import crop
from chereme.synthesis import corpus, crops
from chereme.synthesis.corpus import Pictures, compose, parts
from chereme.synthesis.crops import RenderedClips

SETTINGS = CropSettings(size=48)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> RenderedClips:
    monkeypatch.setattr(crops, "word", lambda index, seed, part: "b")
    return RenderedClips(30, signers=10, seed=3, rate=12, size=SETTINGS.size)


def test_a_clip_is_a_hand_in_the_middle_of_its_crops(maker: RenderedClips) -> None:
    clip = maker.clip(1)
    sample, seen = clip.sample, clip.sample.present
    assert (sample.size, sample.rate, sample.split) == (48, 12, "train")
    assert seen[0]
    assert seen[-1]
    assert sample.crops.shape == (len(seen), 48, 48, 3)
    assert np.isfinite(sample.landmarks[seen]).all()
    middles = np.median(sample.landmarks[seen, :, :2], axis=1)
    np.testing.assert_allclose(middles, 24, atol=14)
    # Skin and room differ: what is rendered is no even colour.
    assert (sample.crops[seen].std(axis=(1, 2)) > 3).all()


def test_the_same_number_is_the_same_clip_and_another_is_not(maker: RenderedClips) -> None:
    assert maker.clip(2).sample.jpegs == maker.clip(2).sample.jpegs
    assert maker.clip(2).sample.jpegs != maker.clip(3).sample.jpegs


def test_left_hands_are_shown_as_right_ones(maker: RenderedClips) -> None:
    number = next(n for n in range(200) if corpus.signer(n, 3).left_handed)
    many = RenderedClips(200, signers=200, seed=3, rate=12, size=SETTINGS.size)
    left = many.clip(number)
    assert (left.sample.handedness, left.track.mirrored) == ("left", True)
    # Fingers point up and the thumb of the letter B lies across the palm, from the same side as in
    # the crops of right hands.
    right = many.clip(next(n for n in range(200) if not corpus.signer(n, 3).left_handed))
    turns = []
    for clip in (left, right):
        points = clip.sample.landmarks[clip.sample.present].mean(axis=0)
        across, up = points[17, :2] - points[5, :2], points[9, :2] - points[0, :2]
        turns.append(np.sign(across[0] * up[1] - across[1] * up[0]))
    assert turns[0] == turns[1]


def test_splits_share_no_signer_and_no_word() -> None:
    clips = RenderedClips(40, signers=10, seed=5)
    splits = [clips.describe(index)[1] for index in range(40)]
    assert splits == parts(10) * 4
    texts = [corpus.word(index, 5, split) for index, split in enumerate(splits)]  # type: ignore[arg-type]
    for text, split in zip(texts, splits, strict=True):
        assert is_held_out(text) == (split != "train")


def test_a_window_is_that_part_of_the_whole_picture() -> None:
    rng = np.random.default_rng(8)
    who = corpus.signer(1, 8)
    rendered = compose("b", who, rng, Pictures(160, 120), 12.0)
    frame, box = rendered.count // 2, np.array([50.0, 40.0, 110.0, 100.0])
    whole = list(rendered.frames())[frame]
    if who.left_handed:
        whole = whole[:, ::-1]
    ((part, (x, y)),) = rendered.windows(np.array([frame]), box[None])
    size = crop(whole, box, 30)
    other = crop(part, box - [x, y, x, y], 30)
    # The noise and the marks of compression differ, the picture does not.
    assert np.abs(size.astype(float) - other).mean() < 8
    assert np.corrcoef(size.ravel(), other.ravel())[0, 1] > 0.95


def test_fewer_clips_than_signers_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one for each of 10 signers, got 4"):
        RenderedClips(4)
