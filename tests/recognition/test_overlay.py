"""Films of what was seen: the recording's frames and times, hands where they are, letters below."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import fakes
from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.hands.draw import draw_hands
from chereme.recognition.bundle import Bundle
from chereme.recognition.caption import ACCENT, strip_height
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import unmirror
from chereme.recognition.overlay import (
    FITTED,
    LARGEST,
    NARROWEST,
    PLAIN,
    overlay_paths,
    write_overlay,
)
from chereme.types import Landmarks, Token, Transcript
from chereme.video import Limits, open_video, write_video
from chereme.video.letterbox import resized

READ = Transcript("ab", (Token("a", 0.1, 0.2, 1.0), Token("b", 0.5, 0.6, 1.0)))


def scene(index: int, width: int, height: int) -> np.ndarray:
    """A picture with a grey that tells its number, and a white corner that tells what is up."""
    image = np.full((height, width, 3), 40 + 4 * (index % 40), np.uint8)
    image[: height // 8, : width // 8] = 255
    return image


def recording(
    path: Path, times: list[float], width: int = 320, height: int = 240, rotation: int = 0
) -> Path:
    write_video(
        path,
        (scene(i, width, height) for i in range(len(times))),
        30.0,
        timestamps=times,
        rotation=rotation,
        quality=5,
    )
    return path


def hands(times: list[float], width: int = 320, height: int = 240) -> Landmarks:
    """One hand that stays, at half the width and three quarters of the height."""
    shape = fakes.draw_hand("b") - [fakes.WIDTH / 2, fakes.HEIGHT * 0.6, 0]
    points = min(width, height) / 960 * shape + [width / 2, height * 0.75, 0]
    return Landmarks(
        landmarks=np.repeat(points[None, None], len(times), axis=0).astype(np.float32),
        confidence=np.ones((len(times), 1, 21), np.float32),
        timestamps=np.array(times),
        width=width,
        height=height,
        handedness=("right",),
    )


def times_of(path: Path) -> list[float]:
    """The times of a film, as another reader than ours sees them."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def images_of(path: Path) -> list[np.ndarray]:
    with open_video(path) as film:
        return [frame.image for frame in film]


def same(film: np.ndarray, image: np.ndarray) -> bool:
    """Whether the film shows ``image`` in its left upper corner, up to its compression.

    Told by the brightness: a film has the colours at half the resolution.
    """
    shown = film[: image.shape[0], : image.shape[1]]
    return bool(np.abs((shown.astype(float) - image) @ [0.3, 0.59, 0.11]).mean() < 4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "fake")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_frames_and_times_of_the_recording(tmp_path: Path, suffix: str) -> None:
    # Uneven times, as telephones record.
    times = [0.0, 0.02, 0.05, 0.11, 0.12, 0.2, 0.55, 0.6]
    clip = recording(tmp_path / "clip.mp4", times)
    found = hands(times)
    with open_video(clip) as video:
        frames = list(video)
    found = replace(found, timestamps=np.array([frame.timestamp for frame in frames]))
    film = tmp_path / f"film{suffix}"
    write_overlay(film, clip, found, READ, signing=0)
    resolution = 1e-3 if suffix == ".mkv" else 1 / 60_000
    assert times_of(film) == pytest.approx(times, abs=resolution)
    for shown, frame, landmarks in zip(images_of(film), frames, found.landmarks, strict=True):
        assert same(shown, draw_hands(frame.image, landmarks, signing=0))
        assert not same(shown, np.roll(frame.image, 40, axis=1))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_letters_appear_below_the_picture(tmp_path: Path) -> None:
    times = [i / 10 for i in range(12)]
    clip = recording(tmp_path / "clip.mp4", times)
    write_overlay(tmp_path / "film.mp4", clip, hands(times), READ, signing=0)
    images = images_of(tmp_path / "film.mp4")
    assert images[0].shape == (274, 320, 3)
    strips = [image[240:].astype(int) for image in images]
    lit = [int((np.abs(strip - ACCENT).sum(axis=2) < 60).sum()) > 50 for strip in strips]
    # a: 0.1 to 0.5, when b starts, which is lit for 0.4 s.
    assert lit == [False, *[True] * 8, False, False, False]
    columns = [np.flatnonzero((s[:, :160] > 120).any(axis=(0, 2))) for s in strips]
    assert len(columns[0]) == 0
    assert columns[10].max() > columns[2].max()
    for image in images:
        assert same(image[240:, 200:], images[0][240:, 200:])  # only the time


def test_odd_and_tiny_pictures(tmp_path: Path) -> None:
    for width, height in ((321, 239), (63, 47), (4, 4), (30, 701)):
        found = hands([0.0, 0.1], width, height)
        film = tmp_path / f"{width}.mp4"
        write_overlay(film, found, found, READ, signing=0)
        for shown, points in zip(images_of(film), found.landmarks, strict=True):
            assert shown.shape[0] % 2 == shown.shape[1] % 2 == 0
            assert shown.shape[0] >= height + 14
            assert shown.shape[1] == max(width + width % 2, NARROWEST)
            ground = np.full((height, width, 3), PLAIN, np.uint8)
            assert same(shown, draw_hands(ground, points, signing=0))


def test_a_turned_recording_is_upright(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2]
    clip = recording(tmp_path / "clip.mp4", times, rotation=90)
    found = hands(times, 240, 320)
    write_overlay(tmp_path / "film.mp4", clip, found, READ, signing=0)
    with open_video(tmp_path / "film.mp4") as film:
        shown = next(film).image
        assert film.facts.rotation == 0
    with open_video(clip) as video:
        upright = next(video).image
    assert upright.shape == (320, 240, 3)
    assert same(shown, draw_hands(upright, found.landmarks[0], signing=0))
    assert shown[5:30, 215:].mean() > 240  # the white corner, turned clockwise


def test_a_mirror_image_is_drawn_as_it_is(tmp_path: Path) -> None:
    times = [0.0, 0.1]
    clip = recording(tmp_path / "clip.mp4", times)
    found = hands(times)
    found = replace(found, landmarks=found.landmarks + np.float32([60, 0, 0]))
    write_overlay(tmp_path / "film.mp4", clip, unmirror(found), READ, signing=0, mirrored=True)
    drawn = draw_hands(scene(0, 320, 240), found.landmarks[0], signing=0)
    assert same(images_of(tmp_path / "film.mp4")[0], drawn)


def test_a_part_of_a_recording_begins_at_nought(tmp_path: Path) -> None:
    times = [i / 10 for i in range(10)]
    clip = recording(tmp_path / "clip.mp4", times)
    with open_video(clip) as video:
        stamps = [frame.timestamp for frame in video][3:7]
    found = replace(hands(stamps), timestamps=np.array(stamps))
    write_overlay(tmp_path / "film.mp4", clip, found, READ, signing=0)
    assert times_of(tmp_path / "film.mp4") == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-4)
    for index, shown in enumerate(images_of(tmp_path / "film.mp4"), start=3):
        assert abs(int(shown[150, 10, 0]) - (40 + 4 * index)) <= 2


def test_times_closer_than_a_film_can_tell_stay_apart(tmp_path: Path) -> None:
    times = [0.0, 1e-7, 2e-7, 0.1]
    write_overlay(tmp_path / "film.mp4", hands(times), hands(times), READ)
    shown = times_of(tmp_path / "film.mp4")
    assert len(shown) == 4
    assert shown == pytest.approx(times, abs=1e-4)


def test_a_recording_that_changed_meanwhile_gives_no_film(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2]
    clip = recording(tmp_path / "clip.mp4", times[:2])
    with pytest.raises(InputError, match=r"expected a frame at 0\.200 s.*do not change the file"):
        write_overlay(tmp_path / "film.mp4", clip, hands(times), READ)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_landmark_files_are_drawn_on_a_plain_ground(tmp_path: Path, bundle: Bundle) -> None:
    spelled = fakes.spell("vail", idle_hand=True)
    path = tmp_path / "clip.npz"
    write_landmarks(spelled, path)
    transcript = Recognizer(bundle).recognize(path, overlay=tmp_path / "new" / "film.mp4")
    assert transcript.text == "vail"
    assert transcript.info["timings"]["overlay"] > 0
    images = images_of(tmp_path / "new" / "film.mp4")
    assert len(images) == len(spelled.timestamps)
    assert images[0].shape[:2] == (fakes.HEIGHT + strip_height(640, 480), fakes.WIDTH)
    ground = np.full((fakes.HEIGHT, fakes.WIDTH, 3), PLAIN, np.uint8)
    # The hand that spells, the second one, is the one that is marked.
    drawn = draw_hands(ground, spelled.landmarks[20], spelled.confidence[20], signing=1)
    other = draw_hands(ground, spelled.landmarks[20], spelled.confidence[20], signing=0)
    shown = images[20][: fakes.HEIGHT].astype(int)
    wrong = [int((np.abs(shown - hands).max(axis=2) > 60).sum()) for hands in (drawn, other)]
    assert wrong[0] < 0.3 * wrong[1]


def test_the_hand_that_is_marked_may_change(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2]
    one = hands(times)
    both = replace(
        one,
        landmarks=np.concatenate([one.landmarks, one.landmarks + np.array([60, 0, 0])], axis=1),
        confidence=np.repeat(one.confidence, 2, axis=1),
        handedness=("right", "left"),
    )
    film = tmp_path / "film.mp4"
    write_overlay(film, both, both, READ, signing=np.array([1, -1, 0]))
    ground = np.full((240, 320, 3), PLAIN, np.uint8)
    for image, signing in zip(images_of(film), (1, None, 0), strict=True):
        wrong = [
            int(
                np.abs(
                    image[:240].astype(int) - draw_hands(ground, both.landmarks[0], signing=n)
                ).sum()
            )
            for n in (1, None, 0)
        ]
        assert (1, None, 0)[int(np.argmin(wrong))] == signing


def test_landmarks_in_other_units_than_pixels_are_fitted(tmp_path: Path) -> None:
    found = hands([0.0, 0.1])
    scaled = replace(found, landmarks=found.landmarks / 200 - 0.9, width=1, height=1)
    write_overlay(tmp_path / "film.mp4", scaled, scaled, READ, signing=0)
    image = images_of(tmp_path / "film.mp4")[0]
    assert image.shape == (FITTED + strip_height(FITTED, FITTED), FITTED, 3)
    changed = np.abs(image[:FITTED].astype(int) - PLAIN).max(axis=2) > 60
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    assert 0.7 * FITTED < max(np.ptp(rows), np.ptp(columns)) < 0.95 * FITTED
    assert abs(rows.mean() - FITTED / 2) < 20
    assert abs(columns.mean() - FITTED / 2) < 20


def test_a_ground_over_the_limit_is_refused(tmp_path: Path) -> None:
    found = hands([0.0], 60_000, 60_000)
    with pytest.raises(LimitError, match="60000x60000"):
        write_overlay(tmp_path / "film.mp4", found, found, READ)
    with pytest.raises(LimitError):
        write_overlay(
            tmp_path / "film.mp4", hands([0.0]), hands([0.0]), READ, limits=Limits(max_pixels=100)
        )
    assert not list(tmp_path.iterdir())


def test_a_recording_without_hands(tmp_path: Path) -> None:
    times = [0.0, 0.1]
    clip = recording(tmp_path / "clip.mp4", times)
    nobody = replace(
        hands(times),
        landmarks=np.zeros((2, 0, 21, 3)),
        confidence=np.zeros((2, 0, 21)),
        handedness=(),
    )
    write_overlay(tmp_path / "film.mp4", clip, nobody, Transcript(""))
    for index, shown in enumerate(images_of(tmp_path / "film.mp4")):
        assert same(shown, scene(index, 320, 240))


def test_a_damaged_recording_gives_the_frames_that_were_read(
    tmp_path: Path, bundle: Bundle
) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(36)]
    clip = tmp_path / "clip.mp4"
    write_video(clip, noise, 30.0)
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat") + len(content) // 3
    content[start : start + 600] = bytes(600)
    clip.write_bytes(content)
    recognizer = Recognizer(
        bundle, make_detector=lambda still: fakes.FakeDetector(fakes.spell("vail"))
    )
    transcript = recognizer.recognize(clip, overlay=tmp_path / "film.mp4")
    assert transcript.info["bad_packets"] > 0 or transcript.info["truncated"]
    with open_video(clip) as video:
        times = [frame.timestamp for frame in video]
    assert times_of(tmp_path / "film.mp4") == pytest.approx(times, abs=1 / 60_000)


def test_progress_counts_each_frame_twice(tmp_path: Path, bundle: Bundle) -> None:
    clip = recording(tmp_path / "clip.mp4", [i / 30 for i in range(12)])
    told: list[tuple[int, int | None]] = []
    Recognizer(
        bundle, make_detector=lambda still: fakes.FakeDetector(fakes.spell("vail"))
    ).recognize(
        clip,
        overlay=tmp_path / "film.mp4",
        progress=lambda done, expected: told.append((done, expected)),
    )
    assert told == [(done, 24) for done in range(1, 25)]


def test_frames_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the recording is, few of its pictures are alive at once."""
    import weakref

    times = [i / 30 for i in range(60)]
    clip = recording(tmp_path / "clip.mp4", times, 64, 48)
    alive: list[weakref.ref] = []
    most = 0

    def watched(image: np.ndarray, *args: object, **options: object) -> np.ndarray:
        nonlocal most
        alive.append(weakref.ref(image))
        most = max(most, sum(ref() is not None for ref in alive))
        return image.copy()

    monkeypatch.setattr("chereme.recognition.overlay.draw_hands", watched)
    with open_video(clip) as video:
        stamps = [frame.timestamp for frame in video]
    write_overlay(tmp_path / "film.mp4", clip, hands(stamps, 64, 48), READ)
    assert len(alive) == 60
    assert most < 5


def test_where_films_go(tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.npz"
    folder = tmp_path / "films"
    assert overlay_paths([one], tmp_path / "out.mp4") == [tmp_path / "out.mp4"]
    assert overlay_paths([one], folder) == [folder / "one.mp4"]
    assert overlay_paths([one, two], folder) == [folder / "one.mp4", folder / "two.mp4"]
    # A film never takes the place of an input, nor of another film.
    assert overlay_paths([one, tmp_path / "a" / "one.mov"], tmp_path) == [
        tmp_path / "one-2.mp4",
        tmp_path / "one-3.mp4",
    ]
    with pytest.raises(UsageError, match="several inputs do not fit one file: expected a folder"):
        overlay_paths([one, two], tmp_path / "out.mp4")
    with pytest.raises(UsageError, match=r"\.mp4, \.mov, \.mkv"):
        overlay_paths([one], tmp_path / "out.avi")


def test_the_input_is_never_overwritten(tmp_path: Path, bundle: Bundle) -> None:
    clip = recording(tmp_path / "clip.mp4", [0.0, 0.1])
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    before = clip.read_bytes()
    for film in (clip, link, tmp_path / "." / "clip.mp4"):
        with pytest.raises(UsageError, match="is the input itself"):
            overlay_paths([clip], film)
        with pytest.raises(UsageError, match="is the input itself"):
            Recognizer(bundle).recognize(clip, overlay=film)
    assert clip.read_bytes() == before


def test_a_photograph_is_a_film_of_one_frame_that_players_show(tmp_path: Path) -> None:
    width, height = 4000, 3000
    photo = tmp_path / "photo.png"
    Image.fromarray(scene(0, width, height)).save(photo)
    found = hands([0.0], width, height)
    write_overlay(tmp_path / "film.mp4", photo, found, READ, signing=0)
    with open_video(tmp_path / "film.mp4", limits=Limits(max_pixels=2 * LARGEST)) as film:
        (frame,) = film
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.duration == pytest.approx(2e6, rel=0.01)
    scale = (LARGEST / (width * height)) ** 0.5
    small = resized(scene(0, width, height), int(width * scale), int(height * scale))
    assert small.size <= 3 * LARGEST
    assert same(frame.image, draw_hands(small, scale * found.landmarks[0], signing=0))


def test_a_real_pose_file(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "formats" / "pose" / "holistic_full_v0.2.pose"
    found = read_landmarks(path)
    write_overlay(tmp_path / "film.mp4", path, found, Transcript(""))
    times = found.timestamps - found.timestamps[0]
    assert times_of(tmp_path / "film.mp4") == pytest.approx(times, abs=1 / 60_000)
