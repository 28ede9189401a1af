from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chereme.errors import InputError, UsageError
from chereme.hands.signing import (
    activity,
    bridge_gaps,
    hand_tracks,
    motion,
    signing_hand,
    to_right_hand,
)
from chereme.types import HandTrack, Landmarks

MakeHand = Callable[..., np.ndarray]
FRAMES = 90
TIMES = np.arange(FRAMES) / 30


def recording(
    *hands: np.ndarray, sides: tuple[str, ...] = ("right", "left"), scores: tuple[float, ...] = ()
) -> Landmarks:
    """Hands ``(T, 21, 3)``; NaN is not seen."""
    landmarks = np.stack(hands, axis=1).astype(np.float32)
    return Landmarks(
        landmarks=landmarks,
        confidence=np.isfinite(landmarks).all(axis=-1).astype(np.float32),
        timestamps=TIMES[: len(landmarks)],
        width=1280,
        height=720,
        handedness=sides[: len(hands)],  # type: ignore[arg-type]
        handedness_score=scores or None,
    )


@pytest.fixture
def spelling(hand: MakeHand) -> np.ndarray:
    """Fingers that open and close twice a second, the wrist at rest."""
    return np.stack([hand(300, 400, bend=0.4 + 0.4 * np.sin(4 * np.pi * t)) for t in TIMES])


def trembling(hands: np.ndarray, pixels: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return hands + rng.normal(0, pixels, hands.shape) * [1, 1, 0]


def test_motion_of_a_known_movement(spelling: np.ndarray) -> None:
    """9 of 21 joints swing by 0.4 palm lengths at 2 Hz for (nearly) 3 s: closed form."""
    result = motion(hand_tracks(recording(spelling))[0])
    assert result.variance == pytest.approx(0.4**2 / 2 * 9 / 21, rel=0.05)
    path = 0.4 * 4 * 2 * TIMES[-1] * 9 / 21  # four amplitudes a period
    assert result.articulation == pytest.approx(path, rel=0.1)
    assert result.travel == 0.0
    assert result.coverage == 1.0


def test_activity_is_the_score_of_motion_frame_by_frame(
    spelling: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hand that moves alike all the time; nothing where it is not seen."""
    track = hand_tracks(recording(spelling))[0]
    moved = activity(track)
    assert moved.sum() == pytest.approx(motion(track).score, rel=0.02)
    assert moved[:45].sum() == pytest.approx(moved[45:].sum(), rel=0.05)
    monkeypatch.setattr("chereme.hands.signing.BLOCK", 7)
    np.testing.assert_allclose(activity(track), moved, rtol=1e-6)
    hidden = spelling.copy()
    hidden[30:60] = np.nan
    seen = activity(hand_tracks(recording(hidden))[0])
    assert (seen[30:61] == 0).all()
    assert seen.sum() == pytest.approx(2 / 3 * moved.sum(), rel=0.1)


def test_motion_is_in_hand_sizes(hand: MakeHand) -> None:
    near, far = (
        np.stack([hand(300, 400, size=size, bend=0.5 * np.sin(9 * t)) for t in TIMES])
        for size in (120, 30)
    )
    one, other = (motion(track) for track in hand_tracks(recording(near, far)))
    assert one.score == pytest.approx(other.score, rel=1e-3)


def test_the_moving_hand_signs_not_the_idle_one(hand: MakeHand, spelling: np.ndarray) -> None:
    idle = trembling(np.stack([hand(800, 600)] * FRAMES), pixels=1.0)
    chosen = signing_hand(recording(idle, spelling, sides=("right", "left")))
    assert chosen is not None
    assert chosen.handedness == "left"
    assert not chosen.mirrored
    np.testing.assert_array_equal(chosen.landmarks, spelling.astype(np.float32))


def test_a_hand_that_is_carried_about_counts_less_than_one_that_spells(
    hand: MakeHand, spelling: np.ndarray
) -> None:
    carried = np.stack([hand(800 + 200 * np.sin(2 * t), 400) for t in TIMES])
    chosen = signing_hand(recording(trembling(carried, 0.5), spelling))
    assert chosen is not None
    assert chosen.handedness == "left"


def test_a_gap_is_no_motion(hand: MakeHand) -> None:
    """A still hand that disappears and comes back elsewhere has not moved."""
    hands = np.stack([hand(300 if t < 1 else 900, 400) for t in TIMES])
    hands[30:45] = np.nan
    result = motion(hand_tracks(recording(hands))[0])
    assert (result.articulation, result.travel, result.score) == (0, 0, 0)


def test_a_flickering_hand_does_not_win_by_its_jumps(hand: MakeHand, spelling: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    flicker = np.stack(
        [hand(*rng.uniform(200, 600, 2), bend=rng.uniform(0, 2)) for _ in range(FRAMES)]
    )
    flicker[np.arange(FRAMES) % 9 > 1] = np.nan
    tracks = hand_tracks(recording(flicker, spelling))
    assert motion(tracks[0]).score == 0
    chosen = signing_hand(recording(flicker, spelling))
    assert chosen is not None
    assert chosen.handedness == "left"


def test_half_of_the_frames_missing_does_not_hide_the_signing_hand(
    hand: MakeHand, spelling: np.ndarray
) -> None:
    full = motion(hand_tracks(recording(spelling))[0])
    spelling = spelling.copy()
    spelling[np.random.default_rng(6).random(FRAMES) < 0.5] = np.nan
    idle = trembling(np.stack([hand(800, 600)] * FRAMES), pixels=0.5)
    half = motion(hand_tracks(recording(spelling))[0])
    assert half.articulation > 0.6 * full.articulation
    chosen = signing_hand(recording(idle, spelling))
    assert chosen is not None
    assert chosen.handedness == "left"


def test_motion_is_seen_at_a_low_frame_rate(spelling: np.ndarray) -> None:
    slow = recording(spelling[::8])
    slow = replace(slow, timestamps=TIMES[::8])  # 3.75 frames a second
    assert motion(hand_tracks(slow)[0]).score > 0.1


def test_trembling_adds_no_path(hand: MakeHand) -> None:
    still = np.stack([hand(300, 400)] * FRAMES)
    shaking = motion(hand_tracks(recording(trembling(still, 0.2)))[0])
    assert shaking.score < 0.01


def test_the_user_may_name_the_hand(hand: MakeHand, spelling: np.ndarray) -> None:
    idle = np.stack([hand(800, 600)] * FRAMES)
    both = recording(idle, spelling, sides=("right", "left"))
    right, left = signing_hand(both, "right"), signing_hand(both, "left")
    assert right is not None
    assert left is not None
    assert (right.handedness, left.handedness) == ("right", "left")
    np.testing.assert_array_equal(right.landmarks, idle)
    assert signing_hand(recording(spelling, sides=("right",)), "left") is None
    unsure = signing_hand(recording(spelling, sides=("right",), scores=(0.6,)), "left")
    assert unsure is not None
    assert unsure.handedness == "left"
    with pytest.raises(UsageError, match="both"):
        signing_hand(both, "both")  # type: ignore[arg-type]


def test_each_hand_has_its_vectors(spelling: np.ndarray) -> None:
    hands = recording(spelling, spelling)
    vectors = np.random.default_rng(0).normal(size=(len(hands.timestamps), 2, 1152))
    for column, track in enumerate(hand_tracks(replace(hands, vectors=vectors))):
        assert track.vectors is not None
        np.testing.assert_array_equal(track.vectors, vectors[:, column])
    with pytest.raises(InputError, match=r"vectors: expected shape .* 2, 1152\) .* got"):
        replace(hands, vectors=vectors[:, :1])


def test_no_hand_and_hands_never_seen_give_none(hand: MakeHand) -> None:
    unseen = np.full((FRAMES, 21, 3), np.nan)
    assert signing_hand(recording(unseen)) is None
    empty = Landmarks(np.zeros((5, 0, 21, 3)), np.zeros((5, 0, 21)), np.arange(5.0), 640, 480, ())
    assert signing_hand(empty) is None


def test_a_left_hand_is_mirrored_once(spelling: np.ndarray) -> None:
    track = hand_tracks(recording(spelling, sides=("left",)))[0]
    vectors = np.random.default_rng(0).normal(size=(len(track.timestamps), 1152))
    track = replace(track, world_landmarks=track.landmarks / 1000, vectors=vectors)
    turned = to_right_hand(track)
    assert turned.vectors is vectors  # those of the picture, which is not flipped
    np.testing.assert_allclose(turned.landmarks[..., 0], 1280 - track.landmarks[..., 0])
    np.testing.assert_array_equal(turned.landmarks[..., 1:], track.landmarks[..., 1:])
    assert turned.world_landmarks is not None
    np.testing.assert_allclose(turned.world_landmarks[..., 0], -track.landmarks[..., 0] / 1000)
    assert (turned.mirrored, turned.handedness) == (True, "left")
    assert to_right_hand(turned) is turned
    right = replace(track, handedness="right")
    assert to_right_hand(right) is right


def test_short_gaps_are_bridged_by_straight_lines_in_time(hand: MakeHand) -> None:
    times = np.cumsum([0, 0.03, 0.05, 0.02, 0.04, 0.03, 0.3, 0.03, 0.03])  # variable rate
    hands = np.stack([hand(1000 * t, 400) for t in times]).astype(np.float32)
    seen = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0], bool)
    hidden = np.where(seen[:, None, None], hands, np.nan).astype(np.float32)
    track = HandTrack(
        landmarks=hidden,
        confidence=np.repeat(seen[:, None], 21, axis=1).astype(np.float32),
        timestamps=times,
        width=1280,
        height=720,
        handedness="right",
        world_landmarks=hidden.copy(),
    )
    bridged = bridge_gaps(track)
    np.testing.assert_allclose(bridged.landmarks[1:6], hands[1:6], rtol=1e-5)
    assert bridged.world_landmarks is not None
    np.testing.assert_allclose(bridged.world_landmarks[1:6], hands[1:6], rtol=1e-5)
    np.testing.assert_array_equal(bridged.present, [0, 1, 1, 1, 1, 1, 0, 1, 0])
    assert np.isnan(bridged.landmarks[[0, 6, 8]]).all()
    assert 0 < bridged.confidence[2, 0] < 0.5
    np.testing.assert_array_equal(track.landmarks, hidden)  # the original is left alone
