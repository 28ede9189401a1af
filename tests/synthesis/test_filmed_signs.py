"""Rendered isolated signs: true, repeatable, and ambiguous where they claim to be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from chereme.datasets.clips import CropSettings
from chereme.errors import InputError, UsageError
from chereme.hands.skeleton import palm_size
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.synthesis import corpus
from chereme.synthesis.filmed_signs import (
    JOINTS,
    LAYOUT,
    FilmedSigns,
    Known,
    ambiguous,
    known,
    signs,
)
from chereme.teachers import Clip

SETTINGS = CropSettings(size=40)
SIGNS = FilmedSigns(24, glosses=3, pairs=1, signers=8, seed=4, rate=8.0, settings=SETTINGS)
SHOWN = SIGNS.clip(1)


def joints(clip) -> np.ndarray:
    return np.asarray(clip.truth[JOINTS]).reshape(-1, 21, 3)


def chirality(clip) -> float:
    """1 or -1: the side of the palm to which fingers bend, which tells left hands from right."""
    points = joints(clip)[clip.sample.present]
    normal = np.cross(points[:, 9] - points[:, 0], points[:, 5] - points[:, 17])
    bend = (points[:, [8, 12, 16, 20]] - points[:, [5, 9, 13, 17]]).mean(axis=1)
    return float(np.sign(np.median((normal * bend).sum(-1))))


def test_pairs_differ_in_their_place_alone() -> None:
    some = signs(3, 2, 5)
    assert [ambiguous(gloss.name) for gloss in some] == [False] * 3 + [True] * 4
    for high, low in (some[3:5], some[5:7]):
        assert high.identity == low.identity
        assert (high.movement, high.reach) == (low.movement, low.reach)
        assert high.place[0] == low.place[0]
        assert high.place[1] < low.place[1] - 2  # y is down
    assert len({gloss.identity for gloss in some}) == 5
    assert {gloss.hands for gloss in some} == {"one"}
    assert "mirrored" in {gloss.hands for gloss in signs(8, 0, 5, both=True)}
    with pytest.raises(UsageError, match="some signs, got 0 and 0"):
        signs(0, 0)


def test_a_clip_is_a_hand_in_the_middle_of_its_crops() -> None:
    sample, seen = SHOWN.sample, SHOWN.sample.present
    assert (sample.size, sample.rate, sample.split) == (40, 8.0, "train")
    assert sample.label == SIGNS.gloss(1).name
    assert seen[0]
    assert seen[-1]
    truth = joints(SHOWN)
    np.testing.assert_allclose(np.median(truth[seen, :, :2], axis=1), 20, atol=12)
    assert ((truth[seen, :, :2] > 0) & (truth[seen, :, :2] < 40)).mean() > 0.95
    assert (sample.crops[seen].std(axis=(1, 2)) > 3).all()  # skin and room are no even colour


def test_detected_joints_are_near_the_true_ones_where_the_detector_is_sure() -> None:
    seen = SHOWN.sample.present
    error = np.linalg.norm(SHOWN.sample.landmarks - joints(SHOWN), axis=-1)[seen]
    error = error / palm_size(joints(SHOWN))[seen, None]
    sure = SHOWN.sample.confidence[seen] >= 0.4
    assert 0.85 < sure.mean() < 0.995
    assert 0.04 < error[sure].mean() < 0.12
    assert error[~sure].mean() > 0.4
    # Depth is the true one: a detector of joints in the picture has none.
    np.testing.assert_allclose(SHOWN.sample.landmarks[seen, :, 2], joints(SHOWN)[seen, :, 2])


def test_the_whole_frame_has_the_signer_and_the_hand() -> None:
    layout = keypoint_layout(LAYOUT)
    place = dict(zip(layout.names, layout.source, strict=True))
    points = np.asarray(SHOWN.truth[LAYOUT]).reshape(-1, layout.size, 3)
    assert len(points) == len(SHOWN.sample.jpegs)
    side = SHOWN.sample.handedness
    hand = points[:, [place[f"{side}_hand_{n}"] for n in ("wrist", "index_tip")]]
    np.testing.assert_array_equal(hand[:, 0, 2] > 0, SHOWN.sample.present)
    middle = points.mean(axis=0)
    assert middle[place["nose"], 1] < middle[place["neck"], 1] - 0.05
    # Of somebody who faces the camera, the right shoulder is on the picture's left.
    assert middle[place["right_shoulder"], 0] < middle[place["left_shoulder"], 0] - 0.05
    boxes = SHOWN.sample.boxes
    width, height = SHOWN.track.width, SHOWN.track.height
    seen = SHOWN.sample.present
    inside = hand[seen, 0, :2] * [width, height]
    if side == "left":
        inside[:, 0] = width - inside[:, 0]
    assert (np.abs(inside - (boxes[seen, :2] + boxes[seen, 2:]) / 2) < 80).all()
    assert points[:, place["left_ankle"], 2].max() == 0  # nobody's feet are in sight


def test_high_is_higher_before_the_body_than_low() -> None:
    layout = keypoint_layout(LAYOUT)
    place = dict(zip(layout.names, layout.source, strict=True))
    heights: dict[str, list[float]] = {"high": [], "low": []}
    for index in range(24):
        label = SIGNS.gloss(index).name
        kind = label.rpartition(" ")[2]
        if not ambiguous(label) or len(heights[kind]) == 2:
            continue
        clip = SIGNS.clip(index)
        points = np.asarray(clip.truth[LAYOUT]).reshape(-1, layout.size, 3)
        wrist = points[clip.sample.present, place[f"{clip.sample.handedness}_wrist"], 1]
        heights[kind].append(float(np.median(wrist) - points[:, place["neck"], 1].mean()))
    assert max(heights["high"]) < min(heights["low"])


def test_the_same_number_is_the_same_clip_and_another_is_not() -> None:
    again = FilmedSigns(40, glosses=3, pairs=1, signers=8, seed=4, rate=8.0, settings=SETTINGS)
    assert again.clip(1).sample.jpegs == SHOWN.sample.jpegs
    np.testing.assert_array_equal(again.clip(1).sample.landmarks, SHOWN.sample.landmarks)
    assert again.clip(2).sample.jpegs != SHOWN.sample.jpegs


def test_splits_share_no_signer_and_signers_sign_all_signs_equally_often() -> None:
    many = FilmedSigns(8 * 10, glosses=3, pairs=1, signers=8, held_out=2)
    splits = [many.describe(index)[1] for index in range(80)]
    assert splits == (["train"] * 4 + ["dev"] * 2 + ["test"] * 2) * 10
    for who in range(8):
        counted = Counter(many.gloss(clip).name for clip in range(who, 80, 8))
        assert set(counted.values()) == {2}
        assert len(counted) == 5


def test_both_hands_are_shown_as_right_ones() -> None:
    both = FilmedSigns(
        60, glosses=5, pairs=0, signers=5, held_out=1, rate=6.0, both=True, settings=SETTINGS
    )
    names = [both.describe(index)[0] for index in range(len(both))]
    first = next(
        i
        for i in range(len(both) - 1)
        if names[i].partition("@")[0] == names[i + 1].partition("@")[0]
    )
    number = int(names[first].partition("@")[0].rpartition("-")[2])
    assert both.gloss(number).hands != "one"
    signing, other = both.clip(first), both.clip(first + 1)
    assert len(signing.sample.jpegs) == len(other.sample.jpegs)
    assert {signing.sample.handedness, other.sample.handedness} == {"left", "right"}
    for clip, name in ((signing, names[first]), (other, names[first + 1])):
        assert clip.sample.id == name
        assert name.endswith(clip.sample.handedness)
        assert chirality(clip) == chirality(SHOWN)
    np.testing.assert_array_equal(signing.truth[LAYOUT], other.truth[LAYOUT])


def test_frames_are_whole_ones_of_the_same_clip() -> None:
    whole = FilmedSigns(
        24, glosses=3, pairs=1, signers=8, seed=4, rate=8.0, view="frame", settings=SETTINGS
    ).clip(1)
    assert (whole.sample.id, whole.sample.label) == (SHOWN.sample.id, SHOWN.sample.label)
    assert whole.sample.present.all()
    assert whole.sample.crops.shape == (len(SHOWN.sample.jpegs), 40, 40, 3)
    np.testing.assert_array_equal(whole.truth[LAYOUT], SHOWN.truth[LAYOUT])


def test_left_handed_signers_have_their_left_hand_on_the_pictures_right() -> None:
    layout = keypoint_layout(LAYOUT)
    place = dict(zip(layout.names, layout.source, strict=True))
    number = next(n for n in range(200) if corpus.signer(n, 4).left_handed)
    many = FilmedSigns(200, glosses=3, pairs=1, signers=200, seed=4, rate=6.0, settings=SETTINGS)
    clip = many.clip(number)
    assert (clip.sample.handedness, clip.track.mirrored) == ("left", True)
    middle = np.asarray(clip.truth[LAYOUT]).reshape(-1, layout.size, 3).mean(axis=0)
    assert middle[place["right_shoulder"], 0] < middle[place["left_shoulder"], 0] - 0.05
    assert middle[place["left_hand_wrist"], 2] > 0


def test_what_is_known_goes_with_the_clip_as_vectors() -> None:
    frames = len(SHOWN.sample.jpegs)
    clip = Clip("1", SHOWN.sample.crops, truth=SHOWN.truth)
    for teacher in known():
        assert teacher.embed_clip(clip).crop.shape == (frames, teacher.dim)
    with pytest.raises(InputError, match="expected a rendered clip that knows its feet"):
        Known("feet", 3).embed_clip(clip)
    with pytest.raises(InputError, match="joints"):
        known()[0].embed_clip(Clip("1", SHOWN.sample.crops))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clips": 4}, "at least one for each of 8 signers, got 4"),
        ({"held_out": 4}, "signers for train"),
        ({"held_out": 0}, "signers for train"),
        ({"view": "feet"}, "hands or frame, got 'feet'"),
        ({"rate": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_filmed_is_refused(changes, said) -> None:
    with pytest.raises(UsageError, match=said):
        FilmedSigns(**{"clips": 24, "signers": 8, **changes})
