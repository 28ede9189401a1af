"""One clip: its hand is found, cut out, turned into a right one, and described in its crop."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.datasets.clips import CropSettings, TrackedClip, Unusable, track_clip
from chereme.formats.manifests import Item
from chereme.hands.skeleton import mirror
from chereme.video import write_video
from fake_clips import SIDE, WIDTH, ColourDetectors, draw, pattern, place, write_frames

SMALL = CropSettings(size=64)


def track(path: Path, settings: CropSettings = SMALL, **of_item: Any) -> TrackedClip:
    item = Item(path, "word", "clip", **of_item)
    return track_clip(item, settings, ColourDetectors())


def reason(path: Path, **of_item: Any) -> tuple[str, str]:
    with pytest.raises(Unusable) as raised:
        track(path, **of_item)
    return raised.value.reason, raised.value.detail


def test_landmarks_lie_on_the_hand_in_its_crop(tmp_path: Path) -> None:
    found = track(write_frames(tmp_path / "c", 9), signer="ann", split="dev").sample
    assert (found.id, found.label, found.signer, found.split) == ("clip", "word", "ann", "dev")
    assert (found.rate, found.handedness, found.size) == (30.0, "right", 64)
    assert found.crops.shape == (9, 64, 64, 3)
    assert found.present.all()
    # The box is 1.5 times as long as the hand's longer side, which is 0.8 of the square's.
    scale = 64 / (1.5 * 0.8 * SIDE)
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    np.testing.assert_allclose(sides, 64 / scale, rtol=1e-5)
    for crop, points, box, frame in zip(
        found.crops, found.landmarks, found.boxes, range(9), strict=True
    ):
        np.testing.assert_allclose(np.ptp(points, axis=0), np.ptp(pattern(), axis=0) * scale, 1e-4)
        middle = (points.min(axis=0) + points.max(axis=0))[:2] / 2
        np.testing.assert_allclose(middle, (np.array(place(frame)) - box[:2]) * scale, atol=0.01)
        # Left of the middle the crop is red, right of it green.
        left, right = crop[32, round(middle[0]) - 5], crop[32, round(middle[0]) + 5]
        assert left[0] > 150 > left[1] < right[1] > 150 > right[0]


def test_a_left_hand_becomes_the_right_hand_of_the_mirror_image(tmp_path: Path) -> None:
    right = track(write_frames(tmp_path / "right", 9))
    left = track(write_frames(tmp_path / "left", 9, left=True))
    assert (right.sample.handedness, left.sample.handedness) == ("right", "left")
    assert left.track.mirrored
    np.testing.assert_allclose(left.sample.landmarks, right.sample.landmarks, atol=1e-3)
    np.testing.assert_allclose(left.sample.boxes, right.sample.boxes, atol=1e-3)
    apart = np.abs(left.sample.crops.astype(int) - right.sample.crops)
    assert apart.mean() < 1
    assert np.abs(left.sample.crops[:, :, ::-1].astype(int) - right.sample.crops).mean() > 10


def test_the_manifest_says_which_hand(tmp_path: Path) -> None:
    found = track(write_frames(tmp_path / "c", 9, left=True), hand="left")
    assert found.sample.handedness == "left"
    # Nobody believes a manifest against what is clearly seen.
    assert reason(tmp_path / "c", hand="right") == ("no hand seen", "in 9 frames")


def test_boxes_lead_back_to_the_frame(tmp_path: Path) -> None:
    for name, left in (("r", False), ("l", True)):
        found = track(write_frames(tmp_path / name, 9, left=left))
        sample = found.sample
        sides = sample.boxes[:, 2] - sample.boxes[:, 0]
        inside = sample.landmarks * sides[:, None, None] / 64
        inside[..., :2] += sample.boxes[:, None, :2]
        np.testing.assert_allclose(inside, found.track.landmarks, atol=1e-3)
        seen = mirror(inside, WIDTH) if left else inside
        middle = (seen[0].min(axis=0) + seen[0].max(axis=0))[:2] / 2
        np.testing.assert_allclose(middle[1], place(0)[1], atol=1e-3)
        np.testing.assert_allclose(middle[0], WIDTH - place(0)[0] if left else place(0)[0], 1e-4)


def test_where_no_hand_was_seen_the_crop_is_black(tmp_path: Path) -> None:
    # A gap of two frames is bridged as in recognition, one of nine is not.
    without = [0, 4, 5, *range(10, 19)]
    sample = track(write_frames(tmp_path / "c", 22, without=without)).sample
    gone = [0, *range(10, 19)]
    assert np.flatnonzero(~sample.present).tolist() == gone
    assert not sample.crops[gone].any()
    assert np.isnan(sample.landmarks[gone]).all()
    assert (sample.confidence[gone] == 0).all()
    assert (sample.confidence[[4, 5]] == np.float32(0.2)).all()
    assert sample.crops[4].any()
    assert np.isfinite(sample.landmarks[4]).all()


def test_a_missing_frame_leaves_no_row(tmp_path: Path) -> None:
    write_frames(tmp_path / "c", 9)
    (tmp_path / "c" / "0004.png").unlink()
    sample = track(tmp_path / "c").sample
    assert len(sample.jpegs) == 9 - 1
    np.testing.assert_array_equal(np.diff(sample.landmarks[:, 0, 0]) != 0, True)
    assert sample.rate == 30.0


def test_a_part_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, [draw(frame) for frame in range(30)], 25)
    whole, part = track(path), track(path, start=0.4, end=0.8)
    assert len(whole.sample.jpegs) == 30
    assert whole.sample.rate == pytest.approx(25)
    assert len(part.sample.jpegs) == 10
    np.testing.assert_allclose(part.track.timestamps, whole.track.timestamps[10:20])
    np.testing.assert_allclose(part.track.landmarks, whole.track.landmarks[10:20])


def test_damage_is_told_of_or_too_much(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", 12)
    half = (folder / "0005.png").read_bytes()
    (folder / "0005.png").write_bytes(half[: len(half) // 2])
    found = track(folder)
    assert (len(found.sample.jpegs), found.remark) == (11, "1 of 12 frames damaged")
    for number in (6, 7):
        (folder / f"{number:04d}.png").write_bytes(b"")
    assert reason(folder) == ("too many frames damaged", "3 of 12 frames damaged")

    video = tmp_path / "v.mp4"
    write_video(video, [draw(frame) for frame in range(60)], 25)
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 2 // 3])
    assert reason(video)[0] in ("ends too early", "cannot be read")


def test_what_is_no_clip(tmp_path: Path) -> None:
    text = tmp_path / "clip.mp4"
    text.write_text("this is no video")
    assert reason(text)[0] == "cannot be read"
    assert str(text) in reason(text)[1]
    assert reason(tmp_path / "nothing.mp4")[0] == "cannot be read"
    assert reason(tmp_path / "hands.npz")[0] == "no pictures"
    empty = write_frames(tmp_path / "c", 5, without=range(5))
    assert reason(empty) == ("no hand seen", "in 5 frames")


def test_a_single_picture(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", 1)
    sample = track(folder / "0001.png").sample
    assert (len(sample.jpegs), sample.rate, sample.split) == (1, 30.0, "unsplit")


def test_a_reason_survives_the_way_between_processes() -> None:
    sent = pickle.loads(pickle.dumps(Unusable("cannot be read", "why")))
    assert (type(sent), sent.reason, sent.detail) == (Unusable, "cannot be read", "why")
