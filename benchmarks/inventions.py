"""Letters read where nobody spells, and letters lost where somebody does.

    python benchmarks/inventions.py --root ../shared/data

Rooms, objects and faces without hands, as photographs and as films by a hand that shakes, real
signs, two-handed alphabets and idle hands must give no letters, or a warning that this is unlikely
to be fingerspelling; words composed from the hands of people that training never saw,
letters held by others and real recordings of spelling must lose none and raise no such warning. A
line a collection: letters a minute before and after judgement
(``chereme.recognition.plausibility``), correct letters lost by it, and the share of the clips with
letters that a warning marks. People whose clips the thresholds were chosen on stand on lines of
their own.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

import chereme
from chereme.datasets.exemplars import Exemplars
from chereme.formats.poses import read_landmarks
from chereme.hands.detector import MediaPipeDetector
from chereme.hands.skeleton import mirror
from chereme.hands.tracking import track_hands
from chereme.metrics import edit_counts
from chereme.recognition import fingerspelling as module
from chereme.recognition import plausibility
from chereme.recognition.ctc_letters import Segment
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands
from chereme.synthesis import Speller, to_landmarks
from chereme.synthesis.rendering import clutter
from chereme.synthesis.rendering.film import srgb_encode
from chereme.types import Frame, Landmarks, Token, Transcript

RATE = 20.0  # frames a second of webcam recordings that state none
CHOSEN = (
    "traduttore alex",
    "traduttore danial",
    "libras",
    *("hawkcodesz", "t32rahman", "meyyappan", "longhongvo23", "hackmit", "lolzorus"),
)


# Pictures of the package scikit-image that show no hand.
PICTURES = (
    *("astronaut.png", "brick.png", "cell.png", "chelsea.png", "chessboard_RGB.png", "coffee.png"),
    *("clock_motion.png", "coins.png", "color.png", "grass.png", "gravel.png", "horse.png"),
    *("hubble_deep_field.jpg", "ihc.png", "logo.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "phantom.png", "retina.jpg", "rocket.jpg", "text.png"),
)
FILM_RATE, FILM_FRAMES = 24.0, 48
FILM_SIZE = (480, 360)  # width, height


@dataclass(frozen=True)
class Clip:
    """One recording: what it is of, whose, and what it spells ('' where nothing)."""

    group: str
    person: str
    text: str
    landmarks: Landmarks


Read = tuple[Clip, list[Token], Transcript]
"""A clip, its letters before judgement, and its transcript."""


def signs(root: Path) -> Iterator[Clip]:
    """Whole signs, both hands: every third recording."""
    for name in ("traduttore_words", "kelhuynh_signs", "libras_signs"):
        with np.load(root / "sequences" / f"{name}.npz") as file:
            hands, label = file["hands"], file["label"]
            signer = np.broadcast_to(file["signer"], label.shape)
            aspect = float(file["aspect"]) if "aspect" in file else 16 / 9
        for sequence, sign, person in zip(hands[::3], label[::3], signer[::3], strict=True):
            if len(sign) < 2:  # letters, and '-' for nothing
                continue
            who = name.split("_")[0]
            who += f" {person}" if who == "traduttore" else ""
            clip = two_hands(sequence[1 if who.startswith("traduttore") else 0 :], aspect)
            if clip is not None:
                yield Clip("signs", who, "", clip)


def two_hands(sequence: np.ndarray, aspect: float) -> Landmarks | None:
    """``(T, 2, 21, 3)`` image fractions, zeros where not found, as pixels of a 720p camera."""
    size = np.array([720 * aspect, 720, 720 * aspect])
    seen = (sequence != 0).any(axis=(2, 3))
    if not seen.any():
        return None
    return Landmarks(
        np.where(seen[..., None, None], sequence * size, np.nan).astype(np.float32),
        np.repeat(seen[..., None], 21, axis=2).astype(np.float32),
        np.arange(len(sequence)) / RATE,
        round(720 * aspect),
        720,
        ("left", "right"),
    )


def people(root: Path) -> Iterator[tuple[str, Exemplars]]:
    """Photographs of letters by people that training never saw, as right hands."""
    files = [
        *sorted((root / "letters_people").glob("*.landmarks.npz")),
        *sorted((root / "letters_people_dev").glob("*.landmarks.npz")),
    ]
    for path in files:
        with np.load(path) as file:
            points = file["landmarks"].astype(np.float64)
            label, wh = file["label"], file["frame_wh"].astype(np.float64)
        points[..., 0] *= (wh[:, 0] / wh[:, 1])[:, None]
        points[..., 2] *= (wh[:, 0] / wh[:, 1])[:, None]
        good = np.isfinite(points).all(axis=(1, 2))
        points, label = points[good], label[good]
        flat = points[np.isin(label, list("abef"))]
        if np.median(flat[:, 5, 0] - flat[:, 17, 0]) < 0:  # the thumb on the other side
            points = mirror(points, None)
        name = path.name.split(".")[0]
        yield (
            name,
            Exemplars(
                points,
                label,
                np.full(len(label), name),
                np.arange(len(label)),
                np.zeros((0, 24, 21, 3)),
                np.zeros(0, "<U1"),
                np.zeros(0, "<U16"),
            ),
        )


def spelled(root: Path, each: int) -> Iterator[Clip]:
    """Words composed of one person's letters, and that hand idle."""
    from chereme.datasets.words import Shares, TextSampler

    sampler = TextSampler(
        shares=Shares(0.5, 0.15, 0.15, 0.15, 0.05, 0.0, 0.0), split="held_out", max_length=12
    )
    for name, exemplars in people(root):
        speller, rng = Speller(exemplars), np.random.default_rng(3)
        made = 0
        while made < each:
            text = sampler.sample(rng)
            if set(text) <= set(speller.letters) and len(text) > 1:
                made += 1
                yield Clip("composed", name, text, to_landmarks(speller.spell(text, rng)))
        for _ in range(each // 4):
            yield Clip("idle", name, "", to_landmarks(speller.idle(rng)))


def held(root: Path) -> Iterator[Clip]:
    """One letter, held or moving, by three people."""
    with np.load(root / "sequences" / "traduttore_letters.npz") as file:
        hands, label, signer = file["hands"], file["label"], file["signer"]
        aspect = float(file["aspect"])
    for number in range(0, len(hands), 10):
        if len(label[number]) == 1 and label[number] != "-":
            clip = two_hands(hands[number, 1:], aspect)
            if clip is not None:
                who = f"traduttore {signer[number]}"
                yield Clip("held letters", who, str(label[number]), clip)


def recordings(root: Path) -> Iterator[Clip]:
    """Real recordings of spelling, and of Indian spelling with two hands."""
    folder = root / "fingerspelling_dev"
    with (folder / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            path = folder / row["path"]
            found = read_landmarks(path) if path.suffix != ".mp4" else detect_hands(path).landmarks
            yield Clip("real spelling", row["signer"], row["label"], found)
    for path in sorted((root / "formats" / "isl_fingerspelling").glob("*.mp4")):
        yield Clip("two-handed alphabet", "news", "", detect_hands(path).landmarks)
    for path in sorted((root / "formats" / "video").glob("*.mp4")):
        yield Clip("signing on video", path.stem[:5], "", detect_hands(path).landmarks)


def synthetic(each: int) -> Iterator[Clip]:
    """What is no hand: landmarks that tremble, drift and jump."""
    for number in range(each):
        rng = np.random.default_rng(number)
        shape = rng.normal(0, 60, (1, 21, 3))
        drift = np.cumsum(rng.normal(0, 3 * (number % 4), (60, 1, 3)), axis=0)
        points = shape + drift + rng.normal(0, 2 + 6 * (number % 3), (60, 21, 3)) + [640, 360, 0]
        yield Clip(
            "no hand",
            "noise",
            "",
            Landmarks(
                points[:, None].astype(np.float32),
                np.ones((60, 1, 21), np.float32),
                np.arange(60) / 30,
                1280,
                720,
                ("right",),
            ),
        )


def empty(rooms: int) -> Iterator[Clip]:
    """Photographs without hands and rooms drawn by chance: each as a still and as a film."""
    import matplotlib
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    files = [folder / name for name in PICTURES]
    files.append(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    pictures = {path.name: np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in files}
    for number in range(rooms):
        room = clutter(np.random.default_rng(number), 800, 600)
        pictures[f"room {number}"] = (255 * srgb_encode(np.clip(room, 0, 1))).astype(np.uint8)
    with MediaPipeDetector(still=True) as looks, MediaPipeDetector() as watches:
        for number, (name, picture) in enumerate(pictures.items()):
            still = track_hands([Frame(picture, 0.0)], looks)
            yield Clip("no hand in a picture", name, "", still)
            film = filmed(picture, np.random.default_rng(number))
            yield Clip("no hand on film", name, "", track_hands(film, watches))


def filmed(picture: np.ndarray, rng: np.random.Generator) -> Iterator[Frame]:
    """A part of ``picture`` by a camera that pans, zooms and shakes, in changing light, noisy."""
    size = np.array(FILM_SIZE)
    room = np.array(picture.shape[1::-1])
    zooms = float((room / size).min()) * rng.uniform(0.3, 1.0, 2)
    places = rng.uniform(0, 1, (2, 2))
    shake = np.cumsum(rng.normal(0, rng.choice([0.0, 0.5, 1.5]), (FILM_FRAMES, 2)), axis=0)
    flicker, noise, phase = rng.uniform(0, 0.25), rng.uniform(0, 10), rng.uniform(0, 6)
    for number, part in enumerate(np.linspace(0, 1, FILM_FRAMES)):
        zoom = zooms[0] ** (1 - part) * zooms[1] ** part
        place = (1 - part) * places[0] + part * places[1]
        left, top = place * (room - zoom * size) + (shake[number] - shake.mean(axis=0)) * zoom
        seen = cv2.warpAffine(
            picture,
            np.array([[zoom, 0, left], [0, zoom, top]]),
            FILM_SIZE,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        light = 1 + flicker * np.sin(phase + number / 6)
        image = np.clip(seen * light + rng.normal(0, noise, seen.shape), 0, 255)
        yield Frame(image.astype(np.uint8), number / FILM_RATE)


def clips(root: Path, each: int) -> Iterator[Clip]:
    """All of it."""
    yield from empty(each)
    yield from recordings(root)
    yield from signs(root)
    yield from held(root)
    yield from spelled(root, each)
    yield from synthetic(each)


def read(recognizer: Recognizer, clip: Clip) -> tuple[list[Token], Transcript]:
    """The letters of a clip before judgement, and what is read with it."""
    heard: list[Token] = []

    def judge(segments: Sequence[Segment], *of: Any, **settings: Any) -> Any:
        heard.extend(token for segment in segments for token in segment.tokens)
        return plausibility.judge(segments, *of, **settings)

    with patch.object(module, "judge", judge):
        return heard, recognizer.recognize(clip.landmarks)


def line(name: str, rows: list[Read]) -> str:
    """One row of the table."""
    seconds = sum(float(clip.landmarks.timestamps[-1]) for clip, _, _ in rows)
    letters = [
        sum(len(before) for _, before, _ in rows),
        sum(len(after.tokens) for _, _, after in rows),
    ]
    right = [0, 0]
    for clip, before, after in rows:
        for number, tokens in enumerate((before, after.tokens)):
            counts = edit_counts(clip.text, "".join(token.text for token in tokens))
            right[number] += len(clip.text) - counts.substitutions - counts.deletions
    spoken = [after for _, _, after in rows if after.text]
    warned = sum(plausibility.DOUBT in after.warnings for after in spoken)
    spelled = sum(len(clip.text) for clip, _, _ in rows)
    # Of stills there are letters, but no minutes.
    minutes = [f"{60 * count / seconds:.0f}" if seconds else str(count) for count in letters]
    lost = f"{right[0] - right[1]} of {right[0]}" if spelled else ""
    return f"| {name} | {len(rows)} | {' | '.join(minutes)} | {lost} | {warned} of {len(spoken)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", default="fingerspelling")
    parser.add_argument("--each", type=int, default=10, help="composed words a person")
    options = parser.parse_args()
    recognizer = chereme.load(options.model, rotate=0)
    groups: dict[str, list[Read]] = {}
    for clip in clips(options.root, options.each):
        chosen = clip.person in CHOSEN and clip.group in ("signs", "held letters", "composed")
        name = clip.group + (" (chosen on)" if chosen else "")
        groups.setdefault(name, []).append((clip, *read(recognizer, clip)))
    print("| | clips | letters a minute before | after | right letters lost | warned |")
    print("|---|---|---|---|---|---|")
    for name, rows in groups.items():
        print(line(name, rows), flush=True)


if __name__ == "__main__":
    main()
