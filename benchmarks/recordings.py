"""Recordings of hands that the benchmarks of letters read: what they are of, whose, and what they
spell. None of these people was in the training of a bundled model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.letter_collections import WEBCAM_RATE, sequences
from chereme.formats.manifests import read_manifest
from chereme.formats.poses import read_landmarks
from chereme.hands.detector import OnnxHandDetector
from chereme.hands.tracking import follow_hands
from chereme.recognition.hand_landmarks import detect_hands
from chereme.synthesis import Speller, to_landmarks
from chereme.synthesis.rendering import clutter
from chereme.synthesis.rendering.film import srgb_encode
from chereme.systems.fingerspelling.left_out import WORDS, texts_of
from chereme.types import Frame, Landmarks
from chereme.video import open_video

EXAMPLE = Path(__file__).parents[1] / "examples" / "hello.mp4"
# Pictures of the package scikit-image that show no hand.
PICTURES = (
    *("astronaut.png", "brick.png", "cell.png", "chelsea.png", "chessboard_RGB.png", "coffee.png"),
    *("clock_motion.png", "coins.png", "color.png", "grass.png", "gravel.png", "horse.png"),
    *("hubble_deep_field.jpg", "ihc.png", "logo.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "phantom.png", "retina.jpg", "rocket.jpg", "text.png"),
)
# Parts that show no hand, of photographs and of first frames: left, top, right, bottom.
PARTS = {
    "formats/photos/call_0413d5c5.jpg": [(0, 0, 0.6, 0.85)],
    "formats/photos/four_06aa70cc.jpg": [(0, 0, 0.6, 0.55)],
    "formats/photos/four_116292ef.jpg": [(0.41, 0, 1, 0.75)],
    "formats/photos/none_00af1db1.jpg": [(0, 0, 0.53, 0.45), (0, 0.5, 1, 1)],
    "formats/photos/none_0a272153.jpg": [(0, 0, 1, 0.45), (0.47, 0, 1, 1)],
    "formats/photos/rock_026fd791.jpg": [(0.32, 0, 1, 0.7)],
    "formats/photos/rock_10eacf4b.jpg": [(0.33, 0, 1, 0.6), (0, 0, 1, 0.37)],
    "formats/video/pose_test_video.mp4": [(0, 0, 1, 0.62), (0.2, 0.2, 0.8, 0.6)],
    **{
        f"fingerspelling_dev/video/{word}.mp4": [(0.2, 0, 0.8, 0.85), (0.38, 0.05, 0.62, 0.45)]
        for word in ("am", "an", "be", "of", "so")
    },
}
FILM_RATE, FILM_FRAMES, FILM_SIZE = 24.0, 48, (480, 360)  # width, height


def detector(**options: bool | int) -> OnnxHandDetector:
    """Finds hands as the package does."""
    return OnnxHandDetector(refine=True, vectors=True, **options)


@dataclass(frozen=True)
class Clip:
    """One recording: what it is of, whose, and what it spells ('' where nothing)."""

    group: str
    person: str
    text: str
    landmarks: Landmarks


def people_of(hands: Exemplars) -> Iterator[tuple[str, Exemplars]]:
    """The exemplars person by person."""
    for name in sorted({*hands.signer.tolist()}):
        yield name, hands.select(only=(name,))


def spelled(strangers: Path, each: int) -> Iterator[Clip]:
    """Words composed of one person's letters, and that hand idle."""
    for name, exemplars in people_of(Exemplars.load(strangers)):
        speller, rng = Speller(exemplars), np.random.default_rng(3)
        for text in texts_of({*speller.letters}, WORDS, each, rng, shortest=2):
            yield Clip("composed", name, text, to_landmarks(speller.spell(text, rng)))
        for _ in range(each // 4):
            yield Clip("idle", name, "", to_landmarks(speller.idle(rng)))


def two_hands(sequence: np.ndarray, aspect: float) -> Landmarks | None:
    """``(T, 2, 21, 3)`` image fractions, zeros where not found, as pixels of a 720p camera."""
    scale = np.array([720 * aspect, 720, 720 * aspect])
    seen = (sequence != 0).any(axis=(2, 3))
    if not seen.any():
        return None
    points = np.where(seen[..., None, None], sequence * scale, np.nan).astype(np.float32)
    times = np.arange(len(sequence)) / WEBCAM_RATE
    confidence = np.repeat(seen[..., None], 21, axis=2)
    size = round(720 * aspect), 720
    return Landmarks(points, confidence.astype(np.float32), times, *size, ("left", "right"))


def signs(root: Path) -> Iterator[Clip]:
    """Whole signs, both hands: every third recording."""
    for name in ("traduttore_words", "kelhuynh_signs", "libras_signs"):
        for one in islice(sequences(root, name), 0, None, 3):
            source = name.split("_")[0]
            who = f"traduttore {one.signer}" if source == "traduttore" else source
            clip = two_hands(one.hands, one.aspect)
            if len(one.label) > 1 and clip is not None:  # no letters, nor '-' for nothing
                yield Clip("signs", who, "", clip)


def held(root: Path) -> Iterator[Clip]:
    """One letter, held or moving, by three people."""
    for one in islice(sequences(root, "traduttore_letters"), 0, None, 10):
        clip = two_hands(one.hands, one.aspect)
        if len(one.label) == 1 and one.label != "-" and clip is not None:
            yield Clip("held letters", f"traduttore {one.signer}", one.label, clip)


def real(root: Path) -> Iterator[Clip]:
    """Real recordings of spelling, and of Indian spelling with two hands."""
    for item in read_manifest(root / "fingerspelling_dev" / "manifest.csv"):
        path, video = item.path, item.path.suffix == ".mp4"
        found = detect_hands(path, vectors=True).landmarks if video else read_landmarks(path)
        yield Clip("real spelling", item.signer or "", item.label, found)
    groups = {"isl_fingerspelling": "two-handed alphabet", "video": "signing on video"}
    for name, group in groups.items():
        for path in sorted((root / "formats" / name).glob("*.mp4")):
            yield Clip(group, path.stem[:5], "", detect_hands(path, vectors=True).landmarks)


def handless(root: Path, rooms: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Pictures that show no hand, and of what kind each is: photographs and drawings; people, in
    photographs and on film; small faces, enlarged; rooms and patterns drawn by chance."""
    import skimage

    stored = Path(skimage.__file__).parent / "data"
    for name in PICTURES:
        yield "objects", name, np.ascontiguousarray(cv2.imread(str(stored / name))[..., ::-1])
    for name, parts in PARTS.items():
        with open_video(root / name) as reader:
            image = next(iter(reader)).image
        size = np.array(image.shape[1::-1] * 2)
        for number, part in enumerate(parts):
            left, top, right, bottom = (np.array(part) * size).astype(int)
            for take in range(3):  # each is filmed in another way
                shown = np.ascontiguousarray(image[top:bottom, left:right])
                yield "people", f"{name} {number}, take {take}", shown
    for number, face in enumerate(np.load(stored / "lfw_subset.npy")[:100:4]):
        grey = cv2.resize((255 * face).astype(np.uint8), (400, 400), interpolation=cv2.INTER_CUBIC)
        yield "small faces", f"face {number}", np.repeat(grey[..., None], 3, axis=2)
    for number in range(rooms):
        room = clutter(np.random.default_rng(number), 800, 600)
        picture = (255 * srgb_encode(np.clip(room, 0, 1))).astype(np.uint8)
        yield "rooms", f"room {number}", picture
    for number in range(20):
        yield "patterns", f"pattern {number}", pattern(number, np.random.default_rng(number))


def pattern(number: int, rng: np.random.Generator) -> np.ndarray:
    """Black, white, one colour, noise, a ramp, stripes, or shapes of the colours of skin."""
    y, x = np.mgrid[:480, :640][..., np.newaxis]
    wave = np.sin((x * rng.normal() + y * rng.normal()) / rng.uniform(2, 40))
    shapes = np.full((480, 640, 3), rng.uniform(0, 255, 3))
    for _ in range(12):
        centre, axes = rng.integers(0, (640, 480)).tolist(), rng.integers(8, 90, 2).tolist()
        skin = np.array([224, 172, 140]) * rng.uniform(0.3, 1.1)
        cv2.ellipse(shapes, centre, axes, rng.uniform(0, 180), 0, 360, skin.tolist(), -1)
    kinds = (0 * shapes, 255, rng.uniform(0, 255, 3), rng.normal(128, 60, shapes.shape))
    kinds += (rng.normal(128, 60, (480, 640, 1)), x / 3 + y / 9, 128 + 120 * wave, 255 * (wave > 0))
    kinds += (shapes, cv2.GaussianBlur(shapes, (0, 0), 6))
    picture = np.broadcast_to(kinds[number % len(kinds)], shapes.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def words(root: Path) -> list[Path]:
    """Real spelling on video."""
    return [EXAMPLE, *sorted((root / "fingerspelling_dev" / "video").glob("*.mp4"))]


def empty(root: Path, rooms: int) -> Iterator[Clip]:
    """Pictures without hands: each as a still and as a film."""
    with detector(still=True) as stills, detector() as films:
        for number, (_, name, picture) in enumerate(handless(root, rooms)):
            film = filmed(picture, np.random.default_rng(number))
            shown = {"in a picture": ([Frame(picture, 0.0)], stills), "on film": (film, films)}
            for where, seen in shown.items():
                found = follow_hands(*seen, vectors=True).finish()
                yield Clip(f"no hand {where}", name, "", found)


def filmed(picture: np.ndarray, rng: np.random.Generator) -> Iterator[Frame]:
    """A part of ``picture`` by a camera that pans, zooms and shakes, in changing light, noisy."""
    size, room = np.array(FILM_SIZE), np.array(picture.shape[1::-1])
    zooms = float((room / size).min()) * rng.uniform(0.3, 1.0, 2)
    places = rng.uniform(0, 1, (2, 2))
    shake = np.cumsum(rng.normal(0, rng.choice([0.0, 0.5, 1.5]), (FILM_FRAMES, 2)), axis=0)
    flicker, grain, phase = rng.uniform(0, 0.25), rng.uniform(0, 10), rng.uniform(0, 6)
    for number, part in enumerate(np.linspace(0, 1, FILM_FRAMES)):
        zoom = zooms[0] ** (1 - part) * zooms[1] ** part
        place = (1 - part) * places[0] + part * places[1]
        left, top = place * (room - zoom * size) + (shake[number] - shake.mean(axis=0)) * zoom
        view = np.array([[zoom, 0, left], [0, zoom, top]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(picture, view, FILM_SIZE, flags=how, borderMode=cv2.BORDER_REFLECT)
        light = 1 + flicker * np.sin(phase + number / 6)
        image = np.clip(seen * light + rng.normal(0, grain, seen.shape), 0, 255)
        yield Frame(image.astype(np.uint8), number / FILM_RATE)
