"""What networks read of clips of signs: both hands, windows that joints follow, mirrored videos."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.systems.hand_aware.data import ClipReader, SignData, SignInputs
from chereme.training.augmentation import NONE, Augmentation
from chereme.training.shards import ShardCorpus

SIZE, FRAMES = 64, 3
LAYOUT = "openpose_137"


def dotted(name: str, side: Any = "right", seed: int = 0, level: int = 20) -> Sample:
    """A hand whose joints 1 and 2 are dots in the pictures, one red and one green."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(24, 40, (FRAMES, 21, 3)).astype(np.float32)
    jpegs = []
    for row in joints:
        picture = np.full((SIZE, SIZE, 3), level, np.uint8)
        for channel, (x, y, _) in enumerate(row[1:3]):
            picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3, channel] = 255
        jpegs.append(jpeg_of(picture, 99))
    joints[:, 1:3, :2] = np.floor(joints[:, 1:3, :2]) + 0.5
    keypoints = np.zeros((FRAMES, keypoint_layout(LAYOUT).size, 3), np.float32)
    keypoints[:, :, :2], keypoints[:, ::2, 2] = rng.uniform(0, 1, (1, 137, 2)), 0.5
    return Sample(
        id=name,
        label="sign",
        signer="s",
        split="train",
        rate=12.0,
        handedness=side,
        jpegs=tuple(jpegs),
        landmarks=joints,
        confidence=np.ones((FRAMES, 21), np.float32),
        boxes=np.tile(np.array([0, 0, SIZE, SIZE], np.float32), (FRAMES, 1)),
        teacher={"joints": joints.reshape(FRAMES, -1), LAYOUT: keypoints.reshape(FRAMES, -1)},
        size=SIZE,
    )


def read(*hands: Sample, inputs: SignInputs, how: Augmentation = NONE, seed: int | None = 0) -> Any:
    rng = None if seed is None else np.random.default_rng(seed)
    return ClipReader(inputs, how).read("clip", hands, np.arange(FRAMES), 0, rng)


def dot(picture: np.ndarray, channel: int) -> np.ndarray:
    """Middle of what is red, or green, in crop units."""
    bright = picture[..., channel].astype(float) - picture[..., 2]
    y, x = np.nonzero(bright > 90)
    return (np.array([x.mean(), y.mean()]) + 0.5) * 2 / picture.shape[1] - 1


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_joints_stay_where_the_hand_is(size: int, seed: int | None) -> None:
    how = Augmentation(crop=0.7, rotation=40.0, colour=0.0, noise=0.0, erase=0.0, flip=0.0, blur=0)
    clip = read(dotted("1"), inputs=SignInputs(size=size), how=how, seed=seed)
    assert clip.crops.shape == (1, FRAMES, size, size, 3)
    for frame in range(FRAMES):
        for channel, joint in enumerate((1, 2)):
            seen = dot(clip.crops[0, frame], channel)
            np.testing.assert_allclose(clip.landmarks[0, frame, joint], seen, atol=3 / size)
    np.testing.assert_allclose(clip.truth[..., :2], clip.landmarks, atol=0.02)
    # Depth grows as the rest does, so that bones keep their shape in 3-D.
    sides = [
        np.linalg.norm(p[0, 0, 5] - p[0, 0, 9]) for p in (clip.truth, dotted("1").landmarks[None])
    ]
    if seed is None:
        assert sides[0] == pytest.approx(sides[1] * 2 / SIZE, rel=2e-3)
    else:
        assert 1.0 <= sides[0] / (sides[1] * 2 / SIZE) <= 1 / 0.7


def test_one_change_is_that_of_the_whole_clip() -> None:
    how = Augmentation(crop=0.7, rotation=40.0)
    one, same = (read(dotted("1"), inputs=SignInputs(size=48), how=how, seed=5) for _ in "12")
    np.testing.assert_array_equal(one.crops, same.crops)
    other = read(dotted("1"), inputs=SignInputs(size=48), how=how, seed=6)
    assert not np.array_equal(one.landmarks, other.landmarks)


def test_hands_have_their_places_and_a_mirrored_video_exchanges_them() -> None:
    right, left = dotted("1", "right", 1, 20), dotted("1", "left", 2, 120)
    both = SignInputs(hands=2, size=32)
    clip = read(right, left, inputs=both)
    assert clip.crops[0].mean() > clip.crops[1].mean() + 50
    mirrored = Augmentation(**{**vars(NONE), "flip": 1.0})
    flipped = read(right, left, inputs=both, how=mirrored)
    np.testing.assert_array_equal(flipped.crops, clip.crops[::-1])
    np.testing.assert_array_equal(flipped.landmarks, clip.landmarks[::-1])
    # A hand that is alone leaves the other's place empty; of one hand, it is the one that signs.
    alone = read(left, inputs=both)
    assert alone.present.any(1).tolist() == [True, False]
    assert np.isnan(alone.truth[1]).all()
    first = read(right, left, inputs=SignInputs(hands=1, size=32))
    np.testing.assert_array_equal(first.crops[0], clip.crops[1])


def test_mirrored_frames_and_keypoints_exchange_left_and_right() -> None:
    mirrored = Augmentation(**{**vars(NONE), "flip": 1.0})
    inputs = SignInputs(size=SIZE, whole=True, layout=LAYOUT)
    clip, flipped = (read(dotted("1"), inputs=inputs, how=how) for how in (NONE, mirrored))
    np.testing.assert_array_equal(flipped.crops, clip.crops[:, :, :, ::-1])
    layout = keypoint_layout(LAYOUT)
    for vertex, name in enumerate(layout.names[:40]):
        before = clip.keypoints[:, layout.source[vertex]]
        after = flipped.keypoints[:, layout.source[layout.mirror[vertex]]]
        np.testing.assert_array_equal(after[:, 1:], before[:, 1:], err_msg=name)
        if before[0, 2]:
            np.testing.assert_allclose(after[:, 0], 1 - before[:, 0], atol=1e-6)
    crops = SignInputs(size=SIZE)  # those of hands stay
    np.testing.assert_array_equal(
        read(dotted("1"), inputs=crops, how=mirrored).crops, read(dotted("1"), inputs=crops).crops
    )


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    samples = [
        dotted("a@right", "right", 1),
        dotted("b.c/d", "left", 2),
        dotted("a@left", "left", 3),
    ]
    write(samples, tmp_path)
    corpus = ShardCorpus(tmp_path)
    assert [entry.id for entry in corpus.entries] == ["a", "b.c/d"]
    assert corpus.seen == (2 * FRAMES, FRAMES)
    found = [*corpus[0], *corpus[1]]
    for one, written in zip(found, (samples[0], samples[2], samples[1]), strict=True):
        assert (one.id, one.handedness, one.jpegs) == (
            written.id,
            written.handedness,
            written.jpegs,
        )
        np.testing.assert_array_equal(one.landmarks, written.landmarks)
        assert one.teacher.keys() == written.teacher.keys()


def test_a_listed_clip_takes_little_memory(tmp_path: Path) -> None:
    """However many pictures it has: a data set of 125,000 clips is listed in each worker."""
    clips = 40
    crop = dotted("x").jpegs[0]
    long = {**vars(dotted("x")), "jpegs": (crop,) * 63}
    for name in ("landmarks", "confidence", "boxes"):
        long[name] = np.repeat(long[name], 63 // FRAMES, axis=0)
    long["teacher"] = long["teacher_mirrored"] = {}
    write([Sample(**{**long, "id": f"clip {number}"}) for number in range(clips)], tmp_path)
    ShardCorpus(tmp_path)  # what is loaded once
    tracemalloc.start()
    try:
        corpus = ShardCorpus(tmp_path)
        assert tracemalloc.get_traced_memory()[0] < 1000 * clips
    finally:
        tracemalloc.stop()
    assert len(corpus[clips - 1][0].jpegs) == 63


def test_an_epoch_repeats_itself_and_goes_on_where_it_was(tmp_path: Path) -> None:
    clips = [dotted(f"{n}", seed=n) for n in range(6)]
    other = [Sample(**{**vars(c), "label": f"{n % 2}"}) for n, c in enumerate(clips)]
    write([*other, Sample(**{**vars(dotted("d")), "split": "dev", "label": "1"})], tmp_path)
    data = SignData([str(tmp_path)], frames=2, batch_size=2)
    data.inputs = SignInputs(size=16)
    data.setup()
    batches = list(data.epoch_loader(3))
    assert sorted(name for batch in batches for name in batch.ids) == [c.id for c in clips]
    assert batches[0].crops.shape == (2, 1, 2, 3, 16, 16)
    later = list(data.epoch_loader(3, skip=1))
    assert [b.ids for b in later] == [b.ids for b in batches[1:]]
    assert torch.equal(later[0].crops, batches[1].crops)
    assert [b.ids for b in data.epoch_loader(4)] != [b.ids for b in batches]


def test_each_clip_of_an_epoch_is_changed_by_numbers_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [Sample(**{**vars(dotted(f"{n}")), "label": f"{n % 2}"}) for n in range(6)]
    write([*clips, Sample(**{**vars(dotted("d")), "split": "dev", "label": "1"})], tmp_path)
    data = SignData([str(tmp_path)], frames=2)
    data.inputs = SignInputs(size=16)
    data.setup()
    monkeypatch.setattr(data, "clip", lambda clip, rng: rng.random())

    def drawn(epoch: int) -> list[float]:
        dataset = data.dataset("train", epoch)
        return [dataset[index] for index in range(len(dataset))]

    assert len(set(drawn(0) + drawn(1))) == 2 * len(drawn(0)) > 2
    assert drawn(1) == drawn(1)
