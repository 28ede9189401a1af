"""Composed clips: their truth holds, they repeat, and nothing in them is broken."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chereme import synthesis
from chereme.datasets.exemplars import Exemplars
from chereme.errors import CheremeError, UsageError
from chereme.formats.poses import read_landmarks
from chereme.hands.normalise import landmark_features
from chereme.hands.skeleton import palm_size
from chereme.synthesis.articulation import Articulation, encode
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.synthesis.style import SpellingStyle

# Slow, and with all that varies turned off.
QUIET = SpellingStyle(
    letter_seconds=0.6,
    hold_fraction=0.5,
    finger_lag=0.0,
    smoothing=0.0,
    shape_spread=0.0,
    letter_spread=0.0,
    tightness_spread=0.0,
    view_turn=0.0,
    view_roll=0.0,
    letter_turn=0.0,
    drift=0.0,
    rise=False,
    sink=False,
    jitter=0.0,
    dropout=0.0,
)


@pytest.fixture(scope="module")
def speller(exemplars: Exemplars) -> Speller:
    return Speller(exemplars)


def hands_of(clip: SpelledClip) -> Articulation:
    return encode(clip.track.landmarks)


def frame_at(clip: SpelledClip, seconds: float) -> int:
    return int(np.abs(clip.track.timestamps - seconds).argmin())


def nearest_letter(hand: Articulation, exemplars: Exemplars) -> str:
    known = encode(exemplars.landmarks.astype(np.float64))
    spelling = exemplars.label != ""
    distance = ((known.angles - hand.angles) ** 2).sum(axis=(1, 2, 3))[spelling]
    return str(exemplars.label[spelling][distance.argmin()])


@pytest.mark.parametrize("text", ["hello", "z", "jazz", "the quick fox"])
def test_a_seed_gives_one_clip(speller: Speller, text: str) -> None:
    one, same, other = (speller.spell(text, np.random.default_rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.track.landmarks, same.track.landmarks)
    np.testing.assert_array_equal(one.track.confidence, same.track.confidence)
    assert one.spans == same.spans
    assert one.track.landmarks.shape != other.track.landmarks.shape or np.any(
        one.track.landmarks != other.track.landmarks
    )


def test_styles_differ_and_repeat() -> None:
    assert SpellingStyle.sample(np.random.default_rng(1)) == SpellingStyle.sample(
        np.random.default_rng(1)
    )
    rng = np.random.default_rng(0)
    styles = [SpellingStyle.sample(rng) for _ in range(200)]
    assert len({style.letter_seconds for style in styles}) > 150
    assert {style.rise for style in styles} == {style.sink for style in styles} == {True, False}
    for style in styles:
        assert 0.1 <= style.letter_seconds <= 2.0
        assert 0 < style.hold_fraction < 1
        assert style.rate in (15, 20, 24, 25, 30, 50, 60)


@pytest.mark.parametrize("text", ["abcdefghi", "klmnopqrs", "tuvwxy"])
def test_holds_show_their_letter(speller: Speller, exemplars: Exemplars, text: str) -> None:
    clip = speller.spell(text, np.random.default_rng(11), QUIET)
    assert [letter for letter, _, _ in clip.spans] == list(text)
    shown = ""
    for _, start, end in clip.spans:
        # A span begins half way into the movement; its last part is the hold.
        frame = frame_at(clip, end - 0.25 * (end - start))
        shown += nearest_letter(hands_of(clip)[[frame]], exemplars)
    assert shown == text


def test_the_hand_rests_during_a_hold_and_moves_between(speller: Speller) -> None:
    clip = speller.spell("al", np.random.default_rng(0), QUIET)
    angles = hands_of(clip).angles
    times = clip.track.timestamps
    boundary = clip.spans[1][1]
    held = times < clip.spans[0][2] - 0.02
    assert np.abs(angles[held] - angles[0]).max() < 1e-6
    step = np.abs(np.diff(angles, axis=0)).max(axis=(1, 2, 3))
    assert times[step.argmax()] == pytest.approx(boundary, abs=0.05)  # fastest half way


def test_bone_lengths_stay_while_the_hand_moves(speller: Speller) -> None:
    style = replace(QUIET, smoothing=0.03, finger_lag=0.03)
    # One picture of each letter, so that both letters have the bones of one hand nearly.
    clip = speller.spell("abafe", np.random.default_rng(5), style)
    lengths = hands_of(clip).lengths
    assert (lengths.max(axis=0) / lengths.min(axis=0)).max() < 1.02


@pytest.mark.parametrize("seed", range(4))
def test_random_clips_keep_their_truth(speller: Speller, seed: int) -> None:
    """Spans in order, in the clip; finite numbers; features that a network can read."""
    rng = np.random.default_rng([99, seed])
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    for _ in range(50):
        text = "".join(rng.choice(letters, rng.integers(1, 8)))
        if rng.random() < 0.3:
            text = text[:3] + text[2:]  # a doubled letter
        clip = speller.spell(text, rng)
        track = clip.track
        assert clip.text == text
        assert "".join(letter for letter, _, _ in clip.spans) == text
        times = np.array([(start, end) for _, start, end in clip.spans])
        assert (times[:, 0] >= 0).all()
        assert (times[:, 1] > times[:, 0]).all()
        assert (times[1:, 0] >= times[:-1, 1] - 1e-9).all()
        assert times[-1, 1] <= track.timestamps[-1] + 1 / 15  # a frame of the slowest camera
        assert np.isfinite(track.landmarks).all()
        assert track.present[0]
        assert track.present[-1]
        assert track.handedness == "right"
        size = palm_size(track.landmarks)
        assert (size > 0.2).all()
        assert (size < 4.0).all()
        assert np.isfinite(landmark_features(track, 30.0)[0]).all()


def test_truth_holds_against_ctc(speller: Speller) -> None:
    """At the network's default step of 1/15 s nearly all texts can be spelled by CTC."""
    rng = np.random.default_rng(8)
    letters, short = np.array(list("abcdefghijklmnopqrstuvwxyz")), 0
    for _ in range(100):
        text = "".join(rng.choice(letters, rng.integers(1, 10)))
        clip = speller.spell(text, rng)
        steps = -(-len(landmark_features(clip.track, 30.0)[0]) // 2)
        short += steps < len(text) + sum(a == b for a, b in pairwise(text))
    assert short <= 1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("letter", ["l", "e"])
def test_doubles_move_in_between(speller: Speller, letter: str, seed: int) -> None:
    clip = speller.spell(2 * letter, np.random.default_rng(seed), QUIET)
    (_, _, first_end), (_, _, second_end) = clip.spans
    hands, size = hands_of(clip), palm_size(clip.track.landmarks)[:, None]
    wrist = clip.track.landmarks[:, 0] / size
    between = slice(frame_at(clip, first_end), frame_at(clip, second_end - 0.2) + 1)
    away = np.linalg.norm(wrist[between] - wrist[0], axis=1).max()
    opened = np.degrees(np.abs(hands.angles[between] - hands.angles[0]).max())
    assert away > 0.1 or opened > 8
    np.testing.assert_allclose(hands.angles[-1], hands.angles[0], atol=1e-6)  # the same letter


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("letter", ["j", "z"])
def test_j_and_z_are_movements(speller: Speller, letter: str, seed: int) -> None:
    clip = speller.spell(letter, np.random.default_rng(seed), QUIET)
    wrist = clip.track.landmarks[:, 0] / palm_size(clip.track.landmarks)[:, None]
    extent = np.ptp(wrist[:, :2], axis=0)
    start = Rotation.from_quat(hands_of(clip).orientation)
    turn = np.degrees((start * start[0].inv()).magnitude())
    if letter == "j":
        assert turn.max() > 45
        assert extent[1] > 0.15
    else:
        assert extent[0] > 0.2
        assert extent[1] > 0.2
        sideways = np.diff(wrist[:, 0])
        strokes = np.sign(sideways[np.abs(sideways) > 0.005])
        assert (np.diff(strokes) != 0).sum() >= 2  # to, fro, and to


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_a_long_hold_is_one_letter(
    speller: Speller, exemplars: Exemplars, place: float, seed: int
) -> None:
    style = replace(QUIET, held=3.0, held_at=place, sway=0.12)
    clip = speller.spell("oka", np.random.default_rng(seed), style)
    assert [letter for letter, _, _ in clip.spans] == list("oka")
    letter, start, end = clip.spans[int(place * 3)]
    assert end - start > 3
    assert max(e - s for _, s, e in clip.spans if (s, e) != (start, end)) < 1
    held = slice(frame_at(clip, end - 2.9), frame_at(clip, end))
    hands = hands_of(clip)[held]
    assert {nearest_letter(hands[[frame]], exemplars) for frame in range(len(hands))} == {letter}
    wrist = clip.track.landmarks[held, 0] / palm_size(clip.track.landmarks[held])[:, None]
    # It wanders, but never so fast as a hand that slides to show a letter once more.
    quarter = int(0.15 * style.rate)
    assert 0.005 < np.ptp(wrist, axis=0).max() < 1.5
    assert np.linalg.norm(wrist[quarter:] - wrist[:-quarter], axis=1).max() < 0.24


@pytest.mark.parametrize("seed", range(4))
def test_j_after_a_hold_of_its_first_handshape(speller: Speller, seed: int) -> None:
    style = replace(QUIET, before_stroke=1.5)
    clip = speller.spell("j", np.random.default_rng(seed), style)
    ((letter, start, end),) = clip.spans
    assert (letter, start) == ("j", 0.0)
    still = clip.track.timestamps < 1.5
    np.testing.assert_allclose(clip.track.landmarks[still], clip.track.landmarks[:1][[0] * 45])
    assert end > 1.5 + 0.3
    moved = Rotation.from_quat(hands_of(clip).orientation[[0, -1]])
    assert (moved[1] * moved[0].inv()).magnitude() > 0.3


def test_j_does_not_begin_where_an_i_ended(speller: Speller) -> None:
    """Between I and J the hand moves as between two equal letters, else the I were J's own."""
    for seed in range(8):
        clip = speller.spell("ij", np.random.default_rng(seed), QUIET)
        (_, _, end), (_, start, _) = clip.spans
        between = slice(frame_at(clip, end), frame_at(clip, start + 0.2))
        wrist = clip.track.landmarks[:, 0] / palm_size(clip.track.landmarks)[:, None]
        assert np.linalg.norm(wrist[between] - wrist[0], axis=1).max() > 0.1


# -- what the hand network says of pictures ------------------------------------------------------
def with_vectors(exemplars: Exemplars, *signers: str) -> tuple[Exemplars, dict[str, np.ndarray]]:
    """Vectors for ``signers``: of each label one, and views of it that differ by 1 %."""
    rng = np.random.default_rng(4)
    centre = {
        str(label): np.maximum(rng.normal(size=1152), 0) for label in np.unique(exemplars.label)
    }
    vectors = np.stack([centre[str(label)] for label in exemplars.label])
    vectors *= rng.normal(1, 0.01, vectors.shape)
    vectors[~np.isin(exemplars.signer, signers)] = 0.0
    return replace(exemplars, vectors=vectors.astype(np.float16)), centre


def test_vectors_of_held_letters(exemplars: Exemplars) -> None:
    pictured, centre = with_vectors(exemplars, "one", "two")
    clip = Speller(pictured).spell(
        "cab", np.random.default_rng(0), replace(QUIET, held=3.0, sway=0.1)
    )
    vectors = clip.track.vectors
    assert vectors is not None
    assert vectors.dtype == np.float16
    assert vectors.shape == (len(clip.track.timestamps), 1152)
    for letter, start, end in clip.spans:
        times = clip.track.timestamps
        held = (times > (start + end) / 2) & (times < end - 0.05)
        errors = vectors[held].astype(float) - centre[letter]
        # Noise is a quarter of the spread, 0.58 here, of the half of the numbers that are not 0.
        assert 0.03 < errors.std() < 0.15
        others = [np.abs(vectors[held] - centre[c]).mean() for c in "abc"]
        assert "abc"[int(np.argmin(others))] == letter


def test_vectors_go_from_letter_to_letter(exemplars: Exemplars) -> None:
    pictured, centre = with_vectors(exemplars, "one", "two")
    clip = Speller(pictured).spell("al", np.random.default_rng(0), QUIET)
    assert clip.track.vectors is not None
    line = centre["l"] - centre["a"]
    share = (clip.track.vectors - centre["a"]) @ line / (line @ line)
    boundary = frame_at(clip, clip.spans[1][1])
    assert share[0] == pytest.approx(0, abs=0.1)
    assert share[boundary] == pytest.approx(0.5, abs=0.15)
    assert share[-1] == pytest.approx(1, abs=0.1)


def test_vectors_of_j_end_as_its_pictures(exemplars: Exemplars) -> None:
    pictured, centre = with_vectors(exemplars, "one", "two")
    speller, starts = Speller(pictured), set()
    for seed in range(12):
        vectors = speller.spell("j", np.random.default_rng(seed), QUIET).track.vectors
        assert vectors is not None
        ends = [min("aijz", key=lambda c: np.abs(vectors[k] - centre[c]).mean()) for k in (0, -1)]
        starts.add(ends[0])
        assert ends[1] == "j"
    assert starts == {"i", "j"}


def test_hands_without_pictures_give_no_vectors(exemplars: Exemplars) -> None:
    rng = np.random.default_rng(0)
    assert Speller(exemplars).spell("cab", rng).track.vectors is None
    pictured, _ = with_vectors(exemplars, "one")
    speller = Speller(pictured)
    clips = [speller.spell("cabin", rng, QUIET) for _ in range(60)]
    known = np.mean([clip.track.vectors is not None for clip in clips])
    assert known == pytest.approx(0.7, abs=0.2)  # as often as the signer with pictures is drawn
    # A letter of which there is no picture takes them from the whole clip.
    lacking = pictured.vectors.copy()
    lacking[pictured.label == "b"] = 0.0
    speller = Speller(replace(pictured, vectors=lacking))
    assert all(speller.spell("cab", rng, QUIET).track.vectors is None for _ in range(20))


def test_vectors_of_other_clips(exemplars: Exemplars) -> None:
    pictured, centre = with_vectors(exemplars, "one", "two")
    speller, rng = Speller(pictured), np.random.default_rng(3)
    idle = speller.idle(rng, QUIET).track
    assert idle.vectors is not None
    letters = np.stack([centre[c] for c in "abcdefghijklmnopqrstuvwxyz"])
    apart = np.abs(idle.vectors[:, None].astype(float) - letters).mean(axis=-1)
    held = np.abs(speller.spell("k", rng, QUIET).track.vectors - centre["k"]).mean()
    assert apart.min() > 2 * held  # it is no letter's
    still = speller.still("w", rng, 0.5).track
    assert still.vectors is not None
    np.testing.assert_array_equal(still.vectors[0], still.vectors[1])
    behind = speller.spell("w", rng, replace(QUIET, from_behind=True)).track
    assert behind.vectors is None
    lost = speller.spell("what", rng, replace(QUIET, dropout=0.3)).track
    assert lost.vectors is not None
    assert not lost.vectors[~lost.present].any()
    assert lost.vectors[lost.present].any(axis=1).all()
    assert np.isfinite(lost.vectors).all()


def test_letters_that_do_not_move_stay(speller: Speller) -> None:
    clip = speller.spell("i", np.random.default_rng(0), QUIET)
    assert np.ptp(clip.track.landmarks, axis=0).max() < 1e-9


@pytest.mark.parametrize("rate", [15.0, 25.0, 59.94])
def test_frame_rate_of_the_style(speller: Speller, rate: float) -> None:
    clip = speller.spell("abc", np.random.default_rng(2), replace(QUIET, rate=rate))
    np.testing.assert_allclose(np.diff(clip.track.timestamps), 1 / rate)
    assert clip.track.timestamps[0] == 0.0
    assert clip.track.timestamps[-1] == pytest.approx(clip.spans[-1][2], abs=1 / rate)


def test_frame_rate_does_not_change_the_motion(speller: Speller) -> None:
    slow, fast = (
        speller.spell("fog", np.random.default_rng(2), replace(QUIET, rate=rate))
        for rate in (20.0, 60.0)
    )
    assert slow.spans == fast.spans
    every = min(len(slow.track.landmarks), len(fast.track.landmarks[::3]))
    np.testing.assert_allclose(
        hands_of(slow).angles[:every], hands_of(fast).angles[::3][:every], atol=1e-6
    )


def test_speed_of_the_style(speller: Speller) -> None:
    text = "abcdefghik"
    seconds = [
        speller.spell(text, np.random.default_rng(1), replace(QUIET, letter_seconds=s)).spans[-1][2]
        for s in (0.15, 0.6)
    ]
    assert seconds[1] == pytest.approx(4 * seconds[0], rel=1e-6)
    assert seconds[1] == pytest.approx(10 * 0.6, rel=0.25)


def test_view_stretch_and_depth(speller: Speller) -> None:
    plain, wide, flat, behind = (
        speller.spell("b", np.random.default_rng(4), replace(QUIET, **change)).track.landmarks
        for change in ({}, {"stretch": 1.3}, {"depth": False}, {"from_behind": True})
    )
    np.testing.assert_allclose(wide, plain * [1.3, 1, 1], atol=1e-12)
    np.testing.assert_allclose(flat, plain * [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(behind, plain * [-1, 1, -1], atol=1e-12)


@pytest.mark.parametrize("letter", ["g", "h", "p", "q"])
@pytest.mark.parametrize("right", [True, False])
def test_sideways_letters_point_as_the_style_says(
    speller: Speller, letter: str, right: bool
) -> None:
    clip = speller.spell(letter, np.random.default_rng(0), replace(QUIET, sideways_right=right))
    pointing = clip.track.landmarks[:, 8, 0] - clip.track.landmarks[:, 0, 0]
    assert ((pointing > 0) == right).all()


def test_noise_and_lost_frames(speller: Speller) -> None:
    rng = np.random.default_rng(6)
    clean = speller.spell("abcd", np.random.default_rng(0), QUIET).track
    noisy = speller.spell("abcd", np.random.default_rng(0), replace(QUIET, jitter=0.02)).track
    error = np.abs(noisy.landmarks - clean.landmarks)
    assert 0.005 < np.median(error[..., :2]) < 0.06
    assert np.median(error[..., 2]) > 1.3 * np.median(error[..., :2])
    lost = [
        1 - speller.spell("abcd", rng, replace(QUIET, dropout=0.15)).track.present.mean()
        for _ in range(20)
    ]
    assert 0.08 < np.mean(lost) < 0.35


def test_rise_and_sink_surround_the_letters(speller: Speller) -> None:
    """Whole, or in part where the recording begins or ends in the middle of them."""
    style = replace(QUIET, rise=True, sink=True, rate=120.0)
    low = np.zeros(2)
    for seed in range(40):
        clip = speller.spell("ab", np.random.default_rng(seed), style)
        assert clip.spans[0][1] >= 0
        assert clip.track.timestamps[-1] > clip.spans[-1][2] - 1 / 120
        height = clip.track.landmarks[:, 0, 1] / palm_size(clip.track.landmarks)  # y is down
        holds = [frame_at(clip, end - 0.05) for _, _, end in clip.spans]
        np.testing.assert_allclose(height[holds], 0.0, atol=1e-6)
        low += height[[0, -1]] > 0.5
    assert (low > 15).all()


@pytest.mark.parametrize("seed", range(20))
def test_idle_hands_spell_nothing(speller: Speller, seed: int) -> None:
    clip = speller.idle(np.random.default_rng(seed))
    assert clip.text == ""
    assert clip.spans == ()
    assert np.isfinite(clip.track.landmarks).all()
    assert np.isfinite(landmark_features(clip.track, 30.0)[0]).all()


def test_a_still_letter(speller: Speller, exemplars: Exemplars) -> None:
    right = 0
    for seed in range(20):
        clip = speller.still("w", np.random.default_rng(seed), 0.7)
        assert (clip.text, clip.spans) == ("w", (("w", 0.0, 0.7),))
        np.testing.assert_array_equal(clip.track.landmarks[0], clip.track.landmarks[1])
        np.testing.assert_array_equal(clip.track.timestamps, [0.0, 0.7])
        motion = landmark_features(clip.track, 30.0)[0][:, -7:-1]
        np.testing.assert_allclose(motion, 0.0, atol=1e-6)
        right += nearest_letter(hands_of(clip)[[0]], exemplars) == "w"
    assert right >= 14  # some are seen without depth, or in a stretched picture


@pytest.mark.parametrize("text", ["naïve", "a1", "Hello", "a\tb", "日本"])
def test_what_cannot_be_spelled(speller: Speller, text: str) -> None:
    with pytest.raises(UsageError, match="cannot spell") as caught:
        speller.spell(text, np.random.default_rng(0))
    assert repr(next(c for c in text if c not in speller.letters))[1:-1] in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_nothing_to_spell(speller: Speller, text: str) -> None:
    with pytest.raises(UsageError, match="expected letters"):
        speller.spell(text, np.random.default_rng(0))


@pytest.mark.parametrize("text", [" ab", "ab ", "a  b", " a b "])
@pytest.mark.parametrize("rise", [True, False])
def test_spaces(speller: Speller, text: str, rise: bool) -> None:
    clip = speller.spell(text, np.random.default_rng(0), replace(QUIET, rise=rise))
    assert [letter for letter, _, _ in clip.spans] == ["a", "b"]
    assert np.isfinite(clip.track.landmarks).all()


def test_letters_of_the_exemplars(exemplars: Exemplars) -> None:
    some = np.isin(exemplars.label, ["a", "b", ""])
    few = Speller(
        replace(
            exemplars,
            landmarks=exemplars.landmarks[some],
            label=exemplars.label[some],
            signer=exemplars.signer[some],
            picture=exemplars.picture[some],
            vectors=exemplars.vectors[some],
        )
    )
    assert few.letters == "ab"
    with pytest.raises(UsageError, match="got 'c'"):
        few.spell("abc", np.random.default_rng(0))
    with pytest.raises(CheremeError):
        few.still("c", np.random.default_rng(0), 0.5)


def test_recording_in_pixels(speller: Speller) -> None:
    clip = speller.spell("cab", np.random.default_rng(0))
    found = synthesis.to_landmarks(clip)
    assert (found.width, found.height, found.handedness) == (1280, 720, ("right",))
    seen = found.confidence[:, 0] > 0
    points = found.landmarks[:, 0]
    assert np.isnan(points[~seen]).all()
    relative = clip.track.landmarks - clip.track.landmarks[:, :1]
    np.testing.assert_allclose(
        (points - points[:, :1])[seen], (90 * relative)[seen], atol=1e-3, rtol=1e-4
    )
    assert found.vectors is None
    vectors = np.random.default_rng(0).normal(size=(len(seen), 1152))
    with_vectors = replace(clip, track=replace(clip.track, vectors=vectors))
    np.testing.assert_array_equal(synthesis.to_landmarks(with_vectors).vectors[:, 0], vectors)
    middle = (points[seen].max(0) + points[seen].min(0))[:2] / 2
    np.testing.assert_allclose(middle, [640, 360], atol=1e-2)


@pytest.mark.parametrize("suffix", [".pose", ".npz"])
def test_write(exemplars: Exemplars, tmp_path: Path, suffix: str) -> None:
    exemplars.save(tmp_path / "exemplars.npz")
    options = {"exemplars": tmp_path / "exemplars.npz", "seed": 5}
    clip = synthesis.write("HeLLo", tmp_path / f"a{suffix}", **options)
    assert clip.text == "hello"
    found = read_landmarks(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(
        found.timestamps, clip.track.timestamps, atol=1e-3 * len(found.timestamps)
    )
    synthesis.write("hello", tmp_path / f"b{suffix}", **options)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
