"""Samples of clips of signs: both hands, whole frames and keypoints of the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_people
import numpy as np
import pytest

from chereme.datasets.corpus import Unusable
from chereme.datasets.sign_clips import SHOULDERS, SignSettings, sign_samples
from chereme.formats.keypoints import read_keypoints
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.hands.detector import Detection
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.video import write_video
from fake_clips import ColourDetector, ColourDetectors, write_frames
from fake_signs import signing

LAYOUT = "openpose_137"


@pytest.fixture
def person(tmp_path: Path) -> Any:
    """The item of a clip; ``sides`` as of `fake_people.write_person`."""

    def make(sides: str = "both", name: str = "clip", **more: Any) -> Item:
        fake_people.write_person(tmp_path / name, tmp_path / "keypoints" / name, sides=sides)
        return Item(tmp_path / name, "sign", name, **more)

    return make


def look(item: Item, folder: Path | None = None, **settings: Any) -> Any:
    layout = settings.pop("layout", LAYOUT if folder else None)
    made = SignSettings(size=64, layout=layout, **settings)
    return sign_samples(item, made, folder, make_detector=ColourDetectors())


def test_both_hands_are_cut_as_right_ones(person: Any, tmp_path: Path) -> None:
    item = person("none both right both none")
    found = look(item, tmp_path / "keypoints", hands="both")
    assert [sample.id for sample in found.samples] == ["clip@right", "clip@left"]  # it moves more
    right, left = found.samples
    assert (right.label, right.split, right.rate, len(right.jpegs)) == ("sign", "unsplit", 30.0, 3)
    assert left.present.all()  # the gap is bridged
    assert left.confidence[:, 5].tolist() == pytest.approx([0.6, 0.2, 0.6])
    assert right.confidence.min() == pytest.approx(0.9)
    for sample in (left, right):
        # The thumb's half, which is brighter, lies on the right of both.
        crops = sample.crops.astype(float).sum(-1)
        wrist, thumb = sample.landmarks[0, 0], sample.landmarks[0, 4]
        assert thumb[0] > wrist[0]
        shown = crops[0, 32]
        assert shown[40] > 1.5 * shown[24]
        # Joints stay where they are in the picture: the square is SIDE wide, the pattern 0.8 of it.
        scale = 64 / (sample.boxes[0, 2] - sample.boxes[0, 0])
        tall = np.ptp(sample.landmarks[0, :, 1])
        assert tall == pytest.approx(scale * np.ptp(fake_people.joints("left", 0)[:, 1]), rel=1e-4)
    assert set(right.teacher) == {LAYOUT}
    assert not left.teacher
    keypoints = right.teacher[LAYOUT].reshape(3, 137, 3)
    given = read_keypoints(tmp_path / "keypoints" / "clip")
    np.testing.assert_allclose(keypoints, given.fractions(200, 120)[1:4])


def test_one_hand_is_that_which_signs(person: Any, tmp_path: Path) -> None:
    (found,) = look(person(), tmp_path / "keypoints", hands="one").samples
    assert (found.id, found.handedness) == ("clip", "right")
    (left,) = look(person(hand="left"), tmp_path / "keypoints", hands="one").samples
    assert left.handedness == "left"


def test_hands_are_looked_for_where_nothing_is_given(tmp_path: Path) -> None:
    item = Item(write_frames(tmp_path / "a", 5, left=True, without=[0]), "sign", "a")
    (found,) = look(item).samples
    assert (found.id, len(found.jpegs), found.teacher) == ("a@left", 4, {})
    (points,) = look(item, into="keypoints", layout=LAYOUT).samples
    assert not points.present.any()
    layout = keypoint_layout(LAYOUT)
    places = points.teacher[LAYOUT].reshape(4, 137, 3)
    seen = {layout.names[layout.source.index(int(n))] for n in np.flatnonzero(places[0, :, 2])}
    assert len(seen) == 22
    assert "left_wrist" in seen
    assert not any(name.startswith(("right", "nose")) for name in seen)


def test_joints_that_jump_are_doubtful(tmp_path: Path) -> None:
    item = Item(write_frames(tmp_path / "a", 6), "sign", "a")
    sure = {
        how: look(item, confidence=how).samples[0].confidence for how in ("steadiness", "detector")
    }
    assert (sure["detector"] == 1).all()
    np.testing.assert_allclose(sure["steadiness"], 1, atol=1e-4)  # the square keeps its shape

    class Trembling(ColourDetector):
        frame = 0

        def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
            (hand,) = super().detect(image, timestamp)
            self.frame += 1
            hand.landmarks[8, 0] += 20 * (self.frame % 2)
            return [hand]

    settings = SignSettings(size=64)
    made = sign_samples(item, settings, make_detector=lambda still: Trembling(0.0)).samples[0]
    assert made.confidence[:, 8].max() < 0.4
    assert np.delete(made.confidence, 8, axis=1).min() > 0.9


def test_crops_by_the_shoulders_have_one_size(person: Any, tmp_path: Path) -> None:
    item, folder = person(), tmp_path / "keypoints"
    for sample in look(item, folder, around="shoulders").samples:
        sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
        np.testing.assert_allclose(sides, SHOULDERS * 60, rtol=1e-5)
    hands, shoulders = (
        look(item, folder, around=around).samples[0].boxes for around in ("hand", "shoulders")
    )
    middles = [(box[:, :2] + box[:, 2:]) / 2 for box in (hands, shoulders)]
    np.testing.assert_allclose(*middles, atol=1e-3)
    for path in (folder / "clip").iterdir():
        path.write_text(path.read_text().replace("0.8", "0.0"))
    with pytest.raises(Unusable, match="no shoulders seen"):
        look(item, folder, around="shoulders")


def test_whole_frames_are_squares_and_all_of_them(person: Any, tmp_path: Path) -> None:
    item = person("none both both none")
    (cut,) = look(item, tmp_path / "keypoints", into="frames").samples
    assert (cut.id, int(cut.present.sum())) == ("clip", 4)
    np.testing.assert_array_equal(cut.boxes[0], [40, 0, 160, 120])
    assert set(cut.teacher) == {LAYOUT}
    (whole,) = look(item, into="frames", fit="whole").samples
    np.testing.assert_array_equal(whole.boxes[0], [0, -40, 200, 160])
    assert whole.crops[1, :10].max() < 12  # the bars
    red = whole.crops[1, ..., 0].astype(int)
    y, x = np.nonzero(red > 160)  # the thumbs' halves: columns 130 to 150 and 54 to 74
    assert y.mean() == pytest.approx((70 + 40) * 64 / 200, abs=1)
    assert x.mean() == pytest.approx((140 + 64) / 2 * 64 / 200, abs=1)


def test_a_part_of_a_recording_takes_its_part_of_the_keypoints(tmp_path: Path) -> None:
    frames = [fake_people.draw(n, (230, 40, 40), ("left", "right")) for n in range(6)]
    write_video(tmp_path / "film.mp4", frames, 10.0)
    points = np.zeros((6, 137, 3), np.float32)
    for n in range(6):
        points[n, -21:] = np.column_stack([fake_people.joints("right", n), np.full(21, 0.5)])
        points[n, 0] = n, n, 1.0
    np.save(tmp_path / "film.npy", points)
    item = Item(tmp_path / "film.mp4", "sign", "train/1", start=0.2, end=0.5)
    (found,) = look(item, tmp_path, into="keypoints").samples
    places = found.teacher[LAYOUT].reshape(-1, 137, 3)
    np.testing.assert_allclose(places[:, 0, 0] * 200, [2, 3, 4], atol=1e-4)
    np.save(tmp_path / "film.npy", points[:3])  # of the clip alone
    (found,) = look(item, tmp_path, into="frames").samples
    np.testing.assert_allclose(found.teacher[LAYOUT][:, 0] * 200, [0, 1, 2], atol=1e-4)
    assert found.rate == pytest.approx(10.0)
    np.save(tmp_path / "film.npy", points[:4])
    with pytest.raises(Unusable, match=r"another number of frames: .*4 for 3"):
        look(item, tmp_path)


def test_what_cannot_be_used_is_told(person: Any, tmp_path: Path) -> None:
    folder = tmp_path / "keypoints"
    with pytest.raises(Unusable, match="no hand seen"):
        look(person("none none"), folder)
    item = person(name="other")
    np.save(folder / "third.npy", np.zeros((4, 133, 3)))
    for name, said in (("second", "no keypoints"), ("third", "another layout: .*mmpose_133")):
        with pytest.raises(Unusable, match=said):
            look(Item(item.path, "sign", name), folder if name == "third" else tmp_path / "none")
    (folder / "fourth.json").write_text("{")
    with pytest.raises(Unusable, match="keypoints cannot be read"):
        look(Item(item.path, "sign", "fourth"), folder)
    with pytest.raises(Unusable, match="cannot be read"):
        look(Item(tmp_path / "nothing.mp4", "sign", "a"))
    write_landmarks(signing("xx", "xx"), tmp_path / "a.npz")
    with pytest.raises(Unusable, match="no pictures"):
        look(Item(tmp_path / "a.npz", "sign", "a"))
    (points,) = look(Item(tmp_path / "a.npz", "sign", "a"), into="keypoints", layout=LAYOUT).samples
    assert len(points.jpegs) == 2
