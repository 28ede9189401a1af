"""From a recording to the pictures of its hands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

pytest.importorskip("numba")
import fakes
from chereme.errors import InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hands.skeleton import mirror
from chereme.synthesis.hand_pictures import PAPER
from chereme.systems.hand_aware.reconstruction import LandmarkFit, Reconstruction
from chereme.systems.hand_aware.reconstruction_film import SIDE, Reconstructed, write_reconstruction
from chereme.systems.hand_aware.reconstruction_plot import GAP
from chereme.types import Landmarks
from chereme.video import open_video, write_video

WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 5, 25.0
STEP = SIDE + GAP
EDGE = 10  # pixels of paper round the pictures of a page
ROW = 3 * SIDE + 2 * GAP


@pytest.fixture(scope="module")
def fitting() -> LandmarkFit:
    return LandmarkFit()


def joints() -> np.ndarray:
    """``(21, 3)`` pixels: a right hand, palm to the camera, in the left half of the picture."""
    layer = HandLayer(HandTemplate.load("open"), flat_hand_mean=True)
    hand = layer(torch.zeros(1, 10), torch.zeros(1, 45), torch.zeros(1, 3)).joints[0].numpy()
    turned = hand[:, [2, 0, 1]]  # side, down, away from the camera
    return 900 * turned + [160.0, 190.0, 0.0]


def seen(*sides: str, frames: int = FRAMES) -> Landmarks:
    """Hands that move to the right a little; a left one is the right one's mirror image."""
    right = joints()[None] + np.arange(frames)[:, None, None] * [2.0, 0.0, 0.0]
    hands = [right if side == "right" else mirror(right, WIDTH) for side in sides]
    return Landmarks(
        landmarks=np.stack(hands, axis=1).astype(np.float32),
        confidence=np.ones((frames, len(sides), 21), np.float32),
        timestamps=np.arange(frames) / RATE,
        width=WIDTH,
        height=HEIGHT,
        handedness=sides,  # type: ignore[arg-type]
    )


def image(number: int) -> np.ndarray:
    """Grey, and the same in the mirror."""
    ramp = np.abs(np.linspace(-60, 60, WIDTH))
    return np.repeat((80 + 5 * number + ramp).astype(np.uint8)[None, :, None], HEIGHT, 0).repeat(
        3, axis=2
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, (image(i) for i in range(FRAMES)), RATE, quality=5)
    return path


def write(output: Path, source: Path, fitting: LandmarkFit, hands: Landmarks, **options):
    return write_reconstruction(
        output, source, fitting, make_detector=lambda still: fakes.FakeDetector(hands), **options
    )


def picture(path: Path) -> np.ndarray:
    with open_video(path) as video:
        return next(iter(video)).image


def mesh_of(row: np.ndarray) -> np.ndarray:
    """Pixels of the third picture of a row that the mesh covers."""
    part = row[:SIDE, 2 * STEP : 2 * STEP + SIDE].astype(int)
    blue: np.ndarray = part[..., 2] - part[..., 0] > 30
    return blue


def test_a_film_of_both_hands(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    told: list[tuple[int, int | None]] = []
    output = tmp_path / "made" / "film.mp4"
    hands = seen("right", "left")
    made = write(output, clip, fitting, hands, progress=lambda *a: told.append(a))
    assert made.hands == ("left", "right")
    assert made.frames == (FRAMES, FRAMES)
    assert max(made.errors) < 0.02
    assert made.error == pytest.approx(np.mean(made.errors))
    assert told[-1] == (FRAMES, FRAMES)
    with av.open(str(output)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    with open_video(output) as film:
        times = [frame.timestamp for frame in film]
    np.testing.assert_allclose(times, np.arange(FRAMES) / RATE, atol=1e-4)
    assert len(frames) == FRAMES
    width = ROW + 2 * EDGE
    height, remainder = divmod(len(frames[0]) - EDGE, 2)
    assert remainder == 0
    assert frames[0].shape == (2 * height + EDGE, width, 3)
    left, right = (frames[0][EDGE + i * height :, EDGE:] for i in range(2))
    # The recording is its own mirror image, and so are the two hands.
    assert mesh_of(left).mean() > 0.1
    assert np.mean(mesh_of(left)[:, ::-1] != mesh_of(right)) < 0.01
    # Right palm to the camera: its thumb points to the right.
    mesh = mesh_of(right)
    assert np.nonzero(mesh.any(axis=0))[0].max() - SIDE / 2 > 0.25 * SIDE
    assert mesh[:, -SIDE // 4 :].any()
    rows = np.nonzero(mesh[:, int(0.7 * SIDE) :].any(axis=1))[0]
    assert rows.min() > 0.25 * SIDE  # no finger is there, only the thumb


def test_the_drawn_mesh_covers_the_detected_joints(
    tmp_path: Path, clip: Path, fitting: LandmarkFit
) -> None:
    """From the page alone: joints are found by how the second picture differs from the first."""
    write(tmp_path / "page.png", clip, fitting, seen("right"), frames=1)
    row = picture(tmp_path / "page.png")[EDGE:, EDGE:]
    crop, drawn = (row[:SIDE, i * STEP : i * STEP + SIDE].astype(int) for i in range(2))
    bones = np.abs(drawn - crop).max(axis=-1) > 40
    assert 0.02 < bones.mean() < 0.3
    assert np.mean(mesh_of(row)[bones]) > 0.97


def test_a_page_of_some_frames(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    hands = seen("right")
    hands.confidence[1] = 0.0
    hands.landmarks[1] = np.nan
    made = write(tmp_path / "page.png", clip, fitting, hands, frames=3)
    assert made.frames == (4,)  # the error is that of all frames, not of those that are shown
    page = picture(tmp_path / "page.png")
    # Two in the first row, one in the second.
    assert page.shape[1] == 2 * ROW + 3 * EDGE
    height = (len(page) - EDGE) // 2
    assert (page[EDGE + height :, EDGE + ROW + EDGE :] == PAPER).all()
    for top, left in ((0, 0), (0, ROW + EDGE), (height, 0)):
        assert mesh_of(page[EDGE + top :, EDGE + left :]).any()
    # Under a picture there is text.
    below = page[EDGE + SIDE : height, EDGE : EDGE + ROW]
    assert (np.abs(below.astype(int) - PAPER).max(axis=-1) > 100).any()


def test_a_frame_without_the_hand(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    hands = seen("right")
    hands.confidence[2] = 0.0
    hands.landmarks[2] = np.nan
    made = write(tmp_path / "film.mp4", clip, fitting, hands)
    assert made.frames == (FRAMES - 1,)
    with open_video(tmp_path / "film.mp4") as film:
        shown = [mesh_of(frame.image[EDGE:, EDGE:]).any() for frame in film]
    assert shown == [True, True, False, True, True]


def test_a_mirrored_recording(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    """What looks like a left hand is the signer's right one, and is shown as it was."""
    made = write(tmp_path / "page.png", clip, fitting, seen("left"), frames=1, mirrored=True)
    write(tmp_path / "other.png", clip, fitting, seen("right"), frames=1)
    assert made.hands == ("right",)
    one, other = picture(tmp_path / "page.png"), picture(tmp_path / "other.png")
    assert np.mean(np.abs(one.astype(int) - other).max(axis=-1) > 8) < 0.005


def test_long_recordings_go_through_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Path, fitting: LandmarkFit
) -> None:
    monkeypatch.setattr("chereme.systems.hand_aware.reconstruction_film._BLOCK", 2)
    calls: list[int] = []

    def counted(crops: np.ndarray, points: np.ndarray, sure: np.ndarray) -> Reconstruction:
        assert crops.shape == (len(points), SIDE, SIDE, 3)
        calls.append(len(points))
        return fitting(crops, points, sure)

    hands = seen("left")
    hands.confidence[2:4] = 0.0
    hands.landmarks[2:4] = np.nan
    detector = fakes.FakeDetector(hands)
    made = write_reconstruction(
        tmp_path / "film.mkv", clip, counted, make_detector=lambda still: detector
    )
    assert calls == [2, 1]
    assert made.frames == (3,)
    assert detector.closed == 1


def test_a_single_picture(tmp_path: Path, fitting: LandmarkFit) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "still.png"), image(0))
    for name in ("page.jpg", "film.mov"):
        made = write(tmp_path / name, tmp_path / "still.png", fitting, seen("left", frames=1))
        assert made.frames == (1,)
        assert mesh_of(picture(tmp_path / name)[EDGE:, EDGE:]).mean() > 0.1


def test_no_hand_writes_nothing(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    nothing = seen("right")
    nothing = replace(
        nothing,
        confidence=np.zeros_like(nothing.confidence),
        landmarks=np.full_like(nothing.landmarks, np.nan),
    )
    with pytest.raises(InputError, match=r"clip\.mp4: expected a hand in at least one of 5 frames"):
        write(tmp_path / "made" / "film.mp4", clip, fitting, nothing)
    assert list(tmp_path.iterdir()) == []


def test_wrong_use(tmp_path: Path, clip: Path, fitting: LandmarkFit) -> None:
    hands = seen("right")
    landmarks = tmp_path / "clip.npz"
    write_landmarks(hands, landmarks)
    for output, source, options, message in (
        ("page.gif", clip, {}, r"page\.gif: expected a file name that ends in \.mp4, .*\.png"),
        ("film.mp4", landmarks, {}, "expected a video, an image or a folder of frames"),
        ("page.jpg", clip, {"frames": 0}, "frames: expected at least one, got 0"),
        (clip, clip, {}, "is the input itself"),
    ):
        with pytest.raises(UsageError, match=message):
            write(tmp_path / output, source, fitting, hands, **options)
    assert list(tmp_path.iterdir()) == [landmarks]


def test_a_film_that_breaks_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    def broken(crops: np.ndarray, points: np.ndarray, sure: np.ndarray) -> Reconstruction:
        raise InputError("no mesh")

    with pytest.raises(InputError, match="no mesh"):
        write(tmp_path / "film.mp4", clip, broken, seen("right"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_mean_error_weighs_frames() -> None:
    assert Reconstructed(("left", "right"), (0.1, 0.4), (2, 1), ()).error == pytest.approx(0.2)


# -- real recordings ------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_real_recording_of_two_hands(
    tmp_path: Path, shared_data: Path, fitting: LandmarkFit
) -> None:
    source = shared_data / "formats" / "video" / "autsl_signer0_sample1000_color.mp4"
    made = write_reconstruction(tmp_path / "film.mp4", source, fitting)
    assert made.hands == ("left", "right")
    assert min(made.frames) >= 30
    assert max(made.errors) < 0.05
    with open_video(tmp_path / "film.mp4") as film:
        assert sum(1 for _ in film) == 43


@pytest.mark.slow
def test_a_real_word(tmp_path: Path, shared_data: Path, fitting: LandmarkFit) -> None:
    source = shared_data / "fingerspelling_dev" / "video" / "am.mp4"
    made = write_reconstruction(tmp_path / "page.png", source, fitting, frames=4)
    assert made.hands == ("right",)
    assert made.error < 0.05
    page = picture(tmp_path / "page.png")
    height = (len(page) - EDGE) // 2
    for top in (0, height):
        for left in (0, ROW + EDGE):
            assert mesh_of(page[EDGE + top :, EDGE + left :]).mean() > 0.02
