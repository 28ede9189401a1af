"""Changed clips are the same signing, and nothing else of them changes."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.formats.tracks import PoseTracks, TrackSpec, one_track, register_track
from chereme.systems.signx.track_augmentation import GEOMETRY, TrackAugmentation, mirror

NONE = dict.fromkeys(asdict(TrackAugmentation()), 0.0)
PLAIN = register_track(TrackSpec("test_augmented", 3, "numbers that are no places"))


def only(**values: float) -> TrackAugmentation:
    return TrackAugmentation(**NONE | values)


def signed(frames: int = 40) -> PoseTracks:
    rng = np.random.default_rng(1)
    return one_track("boston104", 50 + 100 * rng.random((frames, 6)), 30.0)


def numbers(clip: PoseTracks, name: str = "boston104") -> np.ndarray:
    return np.asarray(clip.values[name])


def test_nothing_asked_for_changes_nothing() -> None:
    clip, spread = signed(), {"boston104": np.full(6, 9.0, np.float32)}
    same = only().changed(clip, np.random.default_rng(0), spread)
    np.testing.assert_allclose(numbers(same), numbers(clip), rtol=1e-5)
    assert same.present["boston104"].all()


def test_the_tempo_changes_every_half_second_at_any_rate() -> None:
    ramp = np.repeat(np.arange(41.0)[:, None], 6, 1)  # says at which frame of the clip one is
    tempos = {}
    for rate in (30.0, 10.0):
        clip = one_track("boston104", ramp, rate)
        changed = numbers(only(warp=0.4).changed(clip, np.random.default_rng(2)))[:, 0]
        assert changed[[0, -1]].tolist() == [0.0, 40.0]
        assert np.all(np.diff(changed) > 0)
        tempos[rate] = len(np.unique(np.diff(changed).round(3)))
    # 3 and 8 parts, and frames that lie across two of them.
    assert 3 <= tempos[30.0] <= 5 < 8 <= tempos[10.0]


def test_scale_is_about_the_middle_and_shift_is_of_all_alike() -> None:
    clip, rng = signed(), np.random.default_rng(3)
    larger = numbers(only(scale=0.3).changed(clip, rng))
    before = numbers(clip)
    for first in (0, 1):
        ratio = np.ptp(larger[:, first::2]) / np.ptp(before[:, first::2])
        assert abs(ratio - 1) > 0.01
        moved = (larger - ratio * before)[:, first::2]
        np.testing.assert_allclose(moved, moved.mean(), atol=1e-2)
        assert larger[:, first::2].mean() == pytest.approx(before[:, first::2].mean(), abs=1e-2)
    moved = numbers(only(shift=0.1).changed(clip, rng)) - before
    np.testing.assert_allclose(moved[:, ::2], moved[0, 0], atol=1e-3)
    np.testing.assert_allclose(moved[:, 1::2], moved[0, 1], atol=1e-3)
    assert abs(moved[0, 0] - moved[0, 1]) > 0.1


def test_time_is_warped_in_order_from_the_first_frame_to_the_last() -> None:
    line = one_track(PLAIN.name, np.arange(90.0)[:, None] * [1, 2, 3], 30.0)
    lengths = []
    for seed in range(20):
        clip = only(speed=0.2, warp=0.4).changed(line, np.random.default_rng(seed))
        first = numbers(clip, PLAIN.name)[:, 0]
        assert (first[0], first[-1]) == (0.0, 89.0)
        assert (np.diff(first) > 0).all()
        assert np.ptp(np.diff(first)) > 0.1  # the tempo changes within the clip
        lengths.append(clip.frames)
    assert min(lengths) < 85
    assert max(lengths) > 95
    one = one_track(PLAIN.name, [[1.0, 2.0, 3.0]], 30.0)
    assert TrackAugmentation().changed(one, np.random.default_rng(0)).frames == 1


def test_between_frames_classes_and_lost_numbers_are_taken_from_the_nearer_one() -> None:
    track = np.array([[0.0, 0, 0], [1, np.nan, 2]])
    clip = one_track(PLAIN.name, track, 30.0).at_frames(np.array([0.25, 0.75]))
    np.testing.assert_array_equal(
        numbers(clip, PLAIN.name), np.array([[0.25, 0, 0.5], [0.75, np.nan, 1.5]], np.float32)
    )
    classes = np.zeros((2, 576))
    classes[1] = 8
    sapiens = numbers(one_track("sapiens", classes, 30.0).at_frames(np.array([0.25])), "sapiens")
    assert (sapiens == 0).all()


def test_noise_is_in_units_of_the_spread_and_of_no_classes() -> None:
    clip = one_track(PLAIN.name, np.zeros((4000, 3)), 30.0)
    spread = {PLAIN.name: np.array([1.0, 10.0, 0.0], np.float32)}
    noisy = only(noise=0.1).changed(clip, np.random.default_rng(0), spread)
    np.testing.assert_allclose(numbers(noisy, PLAIN.name).std(0), [0.1, 1.0, 0.0], rtol=0.05)
    classes = one_track("sapiens", np.ones((5, 576)), 30.0)
    kept = only(noise=1.0).changed(
        classes, np.random.default_rng(0), {"sapiens": np.ones(576, np.float32)}
    )
    assert (numbers(kept, "sapiens") == 1).all()


def test_frames_are_lost_in_a_row_and_never_all_of_a_clip() -> None:
    counts = []
    for seed in range(30):
        kept = only(lost=0.5).changed(signed(), np.random.default_rng(seed)).present["boston104"]
        counts.append(int((~kept).sum()))
        assert np.abs(np.diff(kept.astype(int))).sum() <= 2
    assert 0 <= min(counts) <= 3
    assert 15 <= max(counts) <= 20
    seen_once = np.full((10, 6), np.nan)
    seen_once[4] = 1.0
    for seed in range(30):
        clip = only(lost=0.9).changed(
            one_track("boston104", seen_once, 30.0), np.random.default_rng(seed)
        )
        assert clip.present["boston104"].sum() == 1


def test_in_the_mirror_hands_are_exchanged() -> None:
    left, right, nose = (10.0, 20.0), (300.0, 40.0), (150.0, 60.0)
    track = np.array([[*left, *right, *nose]], np.float32)
    seen = mirror(track, GEOMETRY["boston104"])
    np.testing.assert_allclose(seen, [[12.0, 40.0, 302.0, 20.0, 162.0, 60.0]])
    clip = one_track("boston104", track, 30.0)
    changed = only(mirror=1.0).changed(clip, np.random.default_rng(0))
    np.testing.assert_allclose(numbers(changed), seen)


@pytest.mark.parametrize("name", sorted(GEOMETRY))
def test_the_mirror_of_the_mirror_is_the_clip(name: str) -> None:
    geometry = GEOMETRY[name]
    track = np.random.default_rng(0).random((2, len(geometry.mirrored))).astype(np.float32)
    once = mirror(track, geometry)
    assert sorted(geometry.mirrored) == list(range(track.shape[1]))
    np.testing.assert_allclose(mirror(once, geometry), track, atol=1e-4)
    assert not np.allclose(once, track)


def test_points_of_the_middle_stay_and_those_of_sides_change() -> None:
    """MediaPipe's nose and left wrist; OpenPose's neck and left wrist; the chin and a mouth's
    corner; the first finger of each hand."""

    def partner(name: str, point: int, size: int) -> int:
        return int(GEOMETRY[name].mirrored[point * size]) // size

    assert (partner("mediapipe", 0, 4), partner("mediapipe", 15, 4)) == (0, 16)
    hand = 33 * 4
    assert GEOMETRY["mediapipe"].mirrored[hand] == hand + 63
    of = [partner("dwpose", point, 3) for point in (1, 7, 18, 39, 60 + 8, 60 + 48)]
    assert of == [1, 4, 39, 18, 60 + 8, 60 + 54]


def test_a_clip_with_tracks_that_have_no_mirror_is_not_mirrored() -> None:
    clip = signed(4)
    both = PoseTracks(
        30.0,
        {**clip.values, PLAIN.name: np.ones((4, 3), np.float32)},
        {**clip.present, PLAIN.name: np.ones(4, bool)},
    )
    kept = only(mirror=1.0).changed(both, np.random.default_rng(0))
    np.testing.assert_allclose(numbers(kept), numbers(clip), rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"mirror": 1.5}, {"lost": 1.0}])
def test_amounts_that_mean_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        only(**wrong)


def test_parts_drift_each_on_its_own_smooth_way() -> None:
    clip = one_track("mediapipe", np.full((3000, 258), 0.5, np.float32), 12.5)
    values = numbers(only(drift=0.04).changed(clip, np.random.default_rng(0)), "mediapipe")
    away = values - 0.5
    assert (away[:, [2, 3, 134]] == 0).all()  # depth and visibility
    x = away[:, [0, 4, 132, 135, 195]]  # two points of the pose, two of a hand, one of the other
    np.testing.assert_allclose(x.std(axis=0), 0.04, rtol=0.15)
    np.testing.assert_array_equal(x[:, 0], x[:, 1])
    np.testing.assert_array_equal(x[:, 2], x[:, 3])
    between = np.corrcoef(x[:, [0, 2, 4]].T)[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 0.15
    assert np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1] > 0.9
    assert np.corrcoef(x[:-25, 0], x[25:, 0])[0, 1] < 0.2
