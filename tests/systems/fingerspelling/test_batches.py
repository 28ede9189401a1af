"""Samples of shards become clips and batches: padding, text, the right teacher vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.systems.fingerspelling.batches import ClipTransform, Inputs, collate
from chereme.text import ASL_LETTERS
from chereme.training.augmentation import NONE

INPUTS = Inputs(image_size=12, vector_dim=6, stride=2, symbols=27)
MAKER = ClipTransform(INPUTS, ASL_LETTERS, teacher="toy")


def test_a_clip_as_it_is(make_clip) -> None:
    sample = replace(make_clip("x", "ab", absent=(1,)), label="A b")
    clip = MAKER.make(sample)
    assert (clip.id, clip.text) == ("x", "ab")
    assert clip.crops.shape == (12, 12, 12, 3)
    assert not clip.crops[1].any()
    assert clip.present.tolist() == [True, False] + 10 * [True]
    assert clip.crops[0, :, 8:, 0].mean() > 150 > 125 > clip.crops[0, :, :4, 0].mean()  # a is red
    expected = sample.teacher["toy"].copy()
    expected[1] = 0
    np.testing.assert_array_equal(clip.vectors, expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_clip_meets_the_vectors_of_its_mirrored_crops(make_clip, seed: int) -> None:
    sample, flips = make_clip("x", "ab"), []
    for probability in (0.0, 0.5, 1.0):
        rng = np.random.default_rng(seed)
        clip = MAKER.make(sample, replace(NONE, flip=probability), rng)
        dark_on_the_left = clip.crops[0, :, :4].mean() < clip.crops[0, :, 8:].mean()
        assert clip.vectors[0, -1] == (1.0 if dark_on_the_left else -1.0)
        assert clip.text == "ab"  # a left hand spells the same letters
        flips.append(not dark_on_the_left)
    assert flips[0] is False
    assert flips[2] is True


def test_without_mirrored_vectors_no_clip_is_flipped(make_clip) -> None:
    sample, always = make_clip("x", "ab", mirrored=False), replace(NONE, flip=1.0)
    clip = MAKER.make(sample, always, np.random.default_rng(0))
    assert clip.vectors[0, -1] == 1.0
    assert clip.crops[0, :, :4].mean() < clip.crops[0, :, 8:].mean()
    free = ClipTransform(replace(INPUTS, vector_dim=None), ASL_LETTERS)
    clip = free.make(sample, always, np.random.default_rng(0))
    assert clip.vectors is None
    assert clip.crops[0, :, :4].mean() > clip.crops[0, :, 8:].mean()


def test_tempo_moves_frames_vectors_and_presence_together(make_clip) -> None:
    sample, lengths = make_clip("x", "abcabc", absent=(9, 10, 11)), set()
    for seed in range(20):
        how = replace(NONE, tempo=0.2)
        clip = MAKER.make(sample, how, np.random.default_rng(seed))
        lengths.add(len(clip.present))
        assert len(clip.crops) == len(clip.vectors) == len(clip.present)
        for crop, vector, present in zip(clip.crops, clip.vectors, clip.present, strict=True):
            assert present == crop.any() == vector.any()
            if present and vector[3] == 0:  # not grey: the brightest channel is the letter's
                assert crop.mean((0, 1)).argmax() == vector[:3].argmax()
    assert min(lengths) < 31
    assert max(lengths) > 40
    assert 28 <= min(lengths) <= max(lengths) <= 44


def test_tempo_leaves_room_for_the_text(make_clip) -> None:
    sample = make_clip("x", "aab", hold=1)  # 9 frames; needs 4 steps of 2
    shortest = min(
        len(MAKER.make(sample, replace(NONE, tempo=0.6), np.random.default_rng(s)).present)
        for s in range(30)
    )
    assert shortest == 7  # ceil(7 / 2) = 4


def test_another_rate(make_clip) -> None:
    clip = replace(MAKER, rate=50.0).make(make_clip("x", "ab"))
    assert len(clip.present) == 24
    np.testing.assert_array_equal(clip.vectors[::2], clip.vectors[1::2])


def test_same_random_numbers_same_clip(make_clip) -> None:
    sample = make_clip("x", "ab")
    how = replace(NONE, crop=0.5, noise=5.0, tempo=0.2)
    one, again = (MAKER.make(sample, how, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one.crops, again.crops)


def test_collate(make_clip) -> None:
    clips = [MAKER.make(make_clip(name, text)) for name, text in (("x", "ab"), ("y", ""))]
    batch = collate(clips, ASL_LETTERS)
    assert batch.ids == ["x", "y"]
    assert batch.crops.shape == (2, 12, 3, 12, 12)
    np.testing.assert_array_equal(batch.crops[0, :, 1].numpy(), clips[0].crops[..., 1])
    assert batch.vectors.shape == (2, 12, 6)
    assert batch.lengths.tolist() == [12, 4]
    assert batch.present.sum(1).tolist() == [12, 4]
    assert not batch.crops[1, 4:].any()
    assert not batch.vectors[1, 4:].any()
    assert batch.targets.tolist() == [[1, 2], [0, 0]]
    assert batch.target_lengths.tolist() == [2, 0]
    assert collate(clips[1:], ASL_LETTERS).targets.tolist() == [[0]]


def test_vectors_only(make_clip) -> None:
    clip = replace(MAKER, inputs=replace(INPUTS, image_size=None)).make(make_clip("x", "ab"))
    assert clip.crops is None
    batch = collate([clip], ASL_LETTERS)
    assert batch.crops is None
    assert batch.vectors.shape == (1, 12, 6)


def test_vectors_that_do_not_fit(make_clip) -> None:
    sample = make_clip("broken", "ab", absent=(0,))
    with pytest.raises(InputError, match=r"clip broken: .*'hamer', .* has those of toy"):
        replace(MAKER, teacher="hamer").make(sample)
    with pytest.raises(InputError, match=r"clip broken: .*\(12, 7\), got \(12, 6\)"):
        replace(MAKER, inputs=replace(INPUTS, vector_dim=7)).make(sample)
    vectors = sample.teacher["toy"].copy()
    vectors[0] = np.nan  # no hand there: allowed
    assert not MAKER.make(replace(sample, teacher={"toy": vectors})).vectors[0].any()
    vectors[5] = np.nan
    with pytest.raises(InputError, match=r"clip broken: .*finite"):
        MAKER.make(replace(sample, teacher={"toy": vectors}))
