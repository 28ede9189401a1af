"""The detector with its networks on real pictures, and its plan with scripted ones."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.hands import detector as module
from chereme.hands.detector import OnnxHandDetector
from chereme.hands.landmarks import LandmarkHand
from chereme.hands.palm import Palm, PalmDetector
from chereme.hands.rectangle import Rectangle
from chereme.hands.search_regions import Sampled, View
from chereme.hands.signing import signing_hand
from chereme.hands.skeleton import palm_size
from chereme.hands.tracking import track_hands
from chereme.types import Frame

from .conftest import OPEN_HAND


def read_frames(path: Path, first: int, last: int) -> list[Frame]:
    """Frames ``first`` to ``last`` (not included) of a video."""
    import av

    with av.open(str(path)) as container:
        return [
            Frame(np.ascontiguousarray(frame.to_ndarray(format="rgb24")), float(frame.time))
            for number, frame in enumerate(container.decode(video=0))
            if first <= number < last
        ]


@pytest.fixture(scope="module")
def spelling_clip(shared_data: Path) -> list[Frame]:
    """Real frames in which one right hand spells 'of', 1280 x 720, the hand 85 pixels large."""
    return read_frames(shared_data / "fingerspelling_dev" / "video" / "of.mp4", 10, 26)


@pytest.fixture(scope="module")
def idle_clip(shared_data: Path) -> list[Frame]:
    """Real frames of the same person with no hand in the picture."""
    return read_frames(shared_data / "fingerspelling_dev" / "video" / "of.mp4", 36, 51)


@pytest.fixture(scope="module")
def video_detector() -> Iterator[OnnxHandDetector]:
    with OnnxHandDetector() as detector:
        yield detector


@pytest.fixture(scope="module")
def still_detector() -> Iterator[OnnxHandDetector]:
    with OnnxHandDetector(still=True, max_hands=1) as detector:
        yield detector


def read_photo(path: Path) -> np.ndarray:
    import cv2

    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


@pytest.fixture(scope="module")
def letter_photos(shared_data: Path) -> list[tuple[str, np.ndarray]]:
    """Two people's hands on black, cut tight: each letter once, the closed ones twice."""
    folder = shared_data / "letters_studio"
    with open(folder / "index.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["label"].isalpha()]
    wanted = {("hand1", label) for label in "abcdefghijklmnopqrstuvwxyz"}
    wanted |= {("hand2", label) for label in "amnst"}
    photos = []
    for row in rows:
        if (row["signer"], row["label"]) in wanted:
            wanted.remove((row["signer"], row["label"]))
            photos.append((row["label"], read_photo(folder / row["path"])))
    assert not wanted
    return photos


def on_the_hand(landmarks: np.ndarray, photo: np.ndarray) -> float:
    """Share of the joints that lie on the (not black) hand; the joints' edges may stick out."""
    import cv2

    hand = cv2.dilate((photo.max(axis=-1) > 30).astype(np.uint8), np.ones((21, 21), np.uint8))
    x, y = np.floor(landmarks[:, :2].T).astype(int)
    inside = (x >= 0) & (x < hand.shape[1]) & (y >= 0) & (y < hand.shape[0])
    return float(hand[y[inside], x[inside]].sum() / len(landmarks))


def test_tight_letter_photos_are_found_where_the_hand_is(
    still_detector: OnnxHandDetector, letter_photos: list[tuple[str, np.ndarray]]
) -> None:
    found = [(label, photo, still_detector.detect(photo, 0.0)) for label, photo in letter_photos]
    missed = [label for label, _, hands in found if not hands]
    assert not missed  # untouched, a third of all and four in five of a, m, n, s, t are missed
    shares = [on_the_hand(hands[0].landmarks, photo) for _, photo, hands in found]
    assert np.mean(shares) > 0.97
    assert min(shares) > 0.7
    assert np.mean([hands[0].handedness == "right" for _, _, hands in found]) > 0.9


def test_a_mirrored_photo_gives_the_mirrored_other_hand(
    still_detector: OnnxHandDetector, letter_photos: list[tuple[str, np.ndarray]]
) -> None:
    photo = dict(letter_photos)["l"]
    (hand,) = still_detector.detect(photo, 0.0)
    (other,) = still_detector.detect(photo[:, ::-1], 0.0)
    assert (hand.handedness, other.handedness) == ("right", "left")
    mirrored = [photo.shape[1], 0] + other.landmarks[:, :2] * [-1, 1]
    apart = np.linalg.norm(mirrored - hand.landmarks[:, :2], axis=-1).mean()
    assert apart < 0.1 * palm_size(hand.landmarks)


def test_a_closed_hand_that_fills_the_video_is_followed(
    video_detector: OnnxHandDetector, letter_photos: list[tuple[str, np.ndarray]]
) -> None:
    photo = dict(letter_photos)["t"]
    frames = [Frame(np.roll(photo, number, axis=1), number / 30) for number in range(8)]
    result = track_hands(frames, video_detector)
    assert result.handedness == ("right",)
    assert result.confidence.all()
    moved = np.diff(result.landmarks[:, 0, :, 0].mean(axis=1))
    np.testing.assert_allclose(moved.mean(), 1.0, atol=0.7)


def test_a_spelling_hand_is_followed_in_every_frame(
    video_detector: OnnxHandDetector, spelling_clip: list[Frame]
) -> None:
    result = track_hands(spelling_clip, video_detector)
    assert result.handedness == ("right",)
    assert result.confidence.all()
    assert result.handedness_score is not None
    assert result.handedness_score[0] > 0.9
    size = palm_size(result.landmarks[:, 0])
    assert ((size > 60) & (size < 110)).all()
    assert result.world_landmarks is not None
    assert (
        (palm_size(result.world_landmarks) > 0.05) & (palm_size(result.world_landmarks) < 0.15)
    ).all()
    again = track_hands(spelling_clip, video_detector)  # after a reset nothing is remembered
    np.testing.assert_array_equal(result.landmarks, again.landmarks)


def test_a_mirrored_video_gives_a_mirrored_track(
    video_detector: OnnxHandDetector, spelling_clip: list[Frame]
) -> None:
    flipped = [
        Frame(np.ascontiguousarray(frame.image[:, ::-1]), frame.timestamp)
        for frame in spelling_clip
    ]
    one = signing_hand(track_hands(spelling_clip, video_detector))
    other = signing_hand(track_hands(flipped, video_detector))
    assert one is not None
    assert other is not None
    assert (one.handedness, other.handedness) == ("right", "left")
    mirrored = [one.width, 0] + other.landmarks[..., :2] * [-1, 1]
    apart = np.linalg.norm(mirrored - one.landmarks[..., :2], axis=-1).mean(axis=-1)
    assert np.median(apart / palm_size(one.landmarks)) < 0.1


def test_of_a_signing_and_a_resting_hand_the_signing_one_is_chosen(
    video_detector: OnnxHandDetector, shared_data: Path
) -> None:
    """A woman signs with her left hand, the right one lies in her lap; both are in the picture."""
    path = shared_data / "formats" / "video" / "autsl_signer0_sample1000_color.mp4"
    landmarks = track_hands(read_frames(path, 0, 43), video_detector)
    assert sorted(landmarks.handedness) == ["left", "right"]
    left = landmarks.handedness.index("left")
    seen = (landmarks.confidence[..., 0] > 0).mean(axis=0)
    assert seen[left] < seen[1 - left] == 1.0  # the blurred, moving one is seen less
    chosen = signing_hand(landmarks)
    assert chosen is not None
    assert chosen.handedness == "left"


def test_a_small_hand_is_found_in_an_enlarged_part(
    video_detector: OnnxHandDetector, spelling_clip: list[Frame]
) -> None:
    """At a third of its size, 30 of 1280 pixels, the palm detector alone sees no hand at all."""
    import cv2

    frames = []
    for frame in spelling_clip:
        image = np.full_like(frame.image, 60)
        image[468:, 200:648] = cv2.resize(frame.image, (448, 252), interpolation=cv2.INTER_AREA)
        frames.append(Frame(image, frame.timestamp))
    full, small = (
        signing_hand(track_hands(clip, video_detector)) for clip in (spelling_clip, frames)
    )
    assert full is not None
    assert small is not None
    assert small.present[-8:].all()
    back = (small.landmarks[-8:, :, :2] - [200, 468]) / 0.35
    apart = np.linalg.norm(back - full.landmarks[-8:, :, :2], axis=-1).mean(axis=-1)
    assert np.median(apart / palm_size(full.landmarks[-8:])) < 0.15


def test_a_small_moving_signer_is_seen_as_often_as_alone(
    video_detector: OnnxHandDetector, shared_data: Path
) -> None:
    """A fifth of the height of a 1080p picture: the palm is 1.2 % of its width."""
    import cv2

    clip = read_frames(shared_data / "fingerspelling_dev" / "video" / "an.mp4", 0, 32)
    alone = signing_hand(track_hands(clip, video_detector))
    assert alone is not None
    assert alone.handedness == "right"
    rng = np.random.default_rng(0)
    background = cv2.resize(rng.integers(60, 120, (27, 48, 3), np.uint8), (1920, 1080))
    for part in (np.s_[:216, :384], np.s_[864:, 1536:]):  # of the top left, of the bottom right
        frames = []
        for frame in clip:
            image = background.copy()
            image[part] = cv2.resize(frame.image, (384, 216), interpolation=cv2.INTER_AREA)
            frames.append(Frame(image, frame.timestamp))
        small = signing_hand(track_hands(frames, video_detector))
        assert small is not None
        assert small.handedness == "right"
        assert small.present.sum() >= 0.9 * alone.present.sum()


def test_a_large_picture_in_which_something_moves_costs_at_most_half_as_much_again(
    scripted: Callable[..., list[int]],
) -> None:
    frames = []
    for number in range(60):
        image = np.zeros((720, 1280, 3), np.uint8)
        image[300:400, 10 * number : 10 * number + 80] = 255
        frames.append(image)
    scripted([()] * len(frames), frames=frames)
    assert Scripted.searches <= 1.5 * len(frames) + len(module.BORDERS)


def test_a_clip_without_hands_has_none_at_one_search_per_frame(
    idle_clip: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = 0
    find = PalmDetector.find_in

    def counted(self: PalmDetector, seen: Sampled) -> list[Palm]:
        nonlocal searches
        searches += 1
        return find(self, seen)

    monkeypatch.setattr(PalmDetector, "find_in", counted)
    with OnnxHandDetector() as detector:
        result = track_hands(idle_clip, detector)
    assert result.landmarks.shape == (len(idle_clip), 0, 21, 3)
    assert searches == len(idle_clip) + len(module.BORDERS)


def test_vectors_are_given_if_asked_for(spelling_clip: list[Frame]) -> None:
    """The landmarks are a linear map of them, the same for all hands."""
    with OnnxHandDetector() as plain, OnnxHandDetector(vectors=True) as detector:
        (without,) = plain.detect(spelling_clip[0].image, 0.0)
        (hand,) = detector.detect(spelling_clip[0].image, 0.0)
    assert without.vector is None
    assert hand.vector is not None
    assert hand.vector.shape == (1152,)
    assert np.isfinite(hand.vector).all()
    np.testing.assert_array_equal(without.landmarks, hand.landmarks)


def test_a_refined_still_is_seen_as_in_the_second_frame_of_a_film(
    spelling_clip: list[Frame],
) -> None:
    image = spelling_clip[0].image
    with OnnxHandDetector(still=True) as once, module.own_detector(True) as twice:
        (rough,), (hand,) = once.detect(image, 0.0), twice.detect(image, 0.0)
    with OnnxHandDetector() as film:
        (first,), (second,) = film.detect(image, 0.0), film.detect(image, 0.1)
    np.testing.assert_array_equal(rough.landmarks, first.landmarks)
    np.testing.assert_array_equal(hand.landmarks, second.landmarks)
    assert not np.array_equal(rough.landmarks, hand.landmarks)


def test_smoothing_calms_a_still_hand_and_changes_nothing_that_is_followed(
    spelling_clip: list[Frame],
) -> None:
    rng = np.random.default_rng(0)
    still = spelling_clip[0].image.astype(int)
    frames = [np.clip(still + rng.normal(0, 6, still.shape), 0, 255) for _ in range(16)]
    seen = {}
    for smoothing in (False, True):
        with OnnxHandDetector(max_hands=1, smoothing=smoothing) as detector:
            hands = [detector.detect(f.astype(np.uint8), i / 30) for i, f in enumerate(frames)]
        seen[smoothing] = np.array([hand.landmarks for (hand,) in hands])
    np.testing.assert_array_equal(seen[True][0], seen[False][0])
    assert seen[True][6:].std(axis=0).mean() < 0.7 * seen[False][6:].std(axis=0).mean()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(video_detector: OnnxHandDetector, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8 RGB"):
        video_detector.detect(image, 0.0)


class Scripted:
    """Stands in for both networks: there are ``hands`` (x as a fraction of the width), which the
    landmark network does not see where it is blind."""

    hands: tuple[float, ...] = ()
    blind = False
    searches = 0
    looks = 0

    class Palms:
        def __init__(self, threads: int | None) -> None: ...

        def find(self, image: np.ndarray, view: View) -> list[Palm]:
            return self.find_in(view.sample(image, 192))

        def find_in(self, seen: Sampled) -> list[Palm]:
            Scripted.searches += 1
            Scripted.blind = False
            places = [np.array([x * 128, 40.0]) for x in Scripted.hands]
            points = np.tile([[0.0, 3], [-2, 0], [0, 0], [1, 0], [2, 0], [-2, 2], [-3, 1]], 1)
            return [
                Palm(np.array([*(place - 2.5), *(place + 2.5)]), place + points, 0.9)
                for place in places
                if seen.origin[0] <= place[0] < seen.origin[0] + 192 * seen.pixel
            ]

    class Network:
        def __init__(self, threads: int | None) -> None: ...

        def find(
            self, image: np.ndarray, squares: Sequence[Rectangle]
        ) -> list[LandmarkHand | None]:
            Scripted.looks += len(squares)
            return [Scripted.see(image.shape[1], square) for square in squares]

    @staticmethod
    def see(width: int, square: Rectangle) -> LandmarkHand:
        near = [x * width for x in Scripted.hands if abs(x * width - square.x) < 12]
        presence = 0.95 if near and not Scripted.blind else 0.1
        landmarks = 8 * OPEN_HAND / 2 + [near[0] if near else square.x, 40]
        joints = np.column_stack([landmarks, np.zeros(21)]).astype(np.float32)
        return LandmarkHand(joints, joints / 100, presence, 0.9, np.zeros(1152, np.float32))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """``run(hands per frame)`` -> number of hands reported per frame."""
    monkeypatch.setattr(module, "PalmDetector", Scripted.Palms)
    monkeypatch.setattr(module, "LandmarkNetwork", Scripted.Network)
    Scripted.searches = Scripted.looks = 0

    def run(
        script: list[tuple[float, ...]],
        rate: float = 30.0,
        frames: Sequence[np.ndarray] | None = None,
        blind: Sequence[int] = (),
    ) -> list[int]:
        detector = OnnxHandDetector()
        counts = []
        for number, hands in enumerate(script):
            Scripted.hands, Scripted.blind = hands, number in blind
            image = np.zeros((72, 128, 3), np.uint8) if frames is None else frames[number]
            counts.append(len(detector.detect(image, number / rate)))
        return counts

    return run


def test_a_lone_hand_is_followed_alone_and_a_second_soon_noticed(
    scripted: Callable[..., list[int]],
) -> None:
    counts = scripted([(0.3,)] * 60 + [(0.3, 0.7)] * 30)
    assert counts[:60] == [1] * 60
    late = counts[60:].count(1)
    assert late <= 13  # two fifths of a second, and a frame
    assert counts[60 + late :] == [2] * (30 - late)
    # Palms cost more than landmarks: looked for while that is needed, and now and then.
    assert Scripted.searches < 60 / 6 + 12
    assert Scripted.looks <= 60 + 2 * 30 + 6


def test_a_hand_lost_is_looked_for_at_once_and_then_in_turn(
    scripted: Callable[..., list[int]],
) -> None:
    counts = scripted([(0.3,)] * 30 + [()] * 90 + [(0.3,)] * 5)
    assert counts == [1] * 30 + [0] * 90 + [1] * 5
    assert Scripted.searches <= 15 + 10 * 2 + 80 + 10


@pytest.mark.parametrize("frames", [1, 2, 8])
def test_a_hand_that_is_not_followed_is_found_anew(
    scripted: Callable[..., list[int]], frames: int
) -> None:
    assert scripted([(0.3,)] * 60, blind=range(20, 20 + frames)) == [1] * 60


@pytest.mark.parametrize("rate", [0.5, 3, 8, 60])
def test_no_frame_is_passed_over_at_any_frame_rate(
    scripted: Callable[..., list[int]], rate: float
) -> None:
    assert scripted([(0.3,)] * 40, rate) == [1] * 40
    assert scripted([(0.3, 0.7)] * 40, rate) == [2] * 40
