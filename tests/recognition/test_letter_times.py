"""Times of letters: those that were composed are found, and they stay in order whatever is said."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chereme.recognition.letter_times import letter_times
from chereme.synthesis import Speller, SpellingStyle
from chereme.types import HandTrack, Token

RATES = (15, 24, 30, 60)
CUT = 1e-9


def said_of(spans, late=0.06, long=0.03):
    """What a network says of letters: each for an instant, near its end."""
    tokens = []
    for letter, start, end in spans:
        start, end = max(start, 0.0), end
        until = max(end - late, start + 0.6 * (end - start))
        tokens.append(Token(letter, max(until - long, start), until, 0.9))
    return tokens


def spelled(exemplars, text, seed=0, **style):
    """A composed clip, what is said of it, and its end."""
    rng = np.random.default_rng(seed)
    style = replace(SpellingStyle(rate=30.0, jitter=0.005), **style)
    clip = Speller(exemplars).spell(text, rng, style)
    end = clip.track.timestamps[-1] + 1 / style.rate
    spans = [(letter, max(a, 0.0), min(b, end)) for letter, a, b in clip.spans]
    return clip.track, spans, end


def errors(exemplars, text, seed=0, **style):
    """Of each letter the errors of its start and end, and whether its middle lies inside."""
    track, spans, end = spelled(exemplars, text, seed, **style)
    found = letter_times(said_of(spans), track, end)
    return [
        (t.start - a, t.end - b, a <= (t.start + t.end) / 2 <= b)
        for t, (_, a, b) in zip(found, spans, strict=True)
    ]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("seconds", "insiders"), [(0.15, 0.9), (0.3, 0.95), (0.8, 1.0)])
def test_finds_when_composed_letters_begin_and_end(exemplars, rate, seconds, insiders):
    every = []
    for seed, text in enumerate(("bread", "whisky", "plum", "cab", "flour")):
        every += errors(exemplars, text, seed, rate=float(rate), letter_seconds=seconds)
    starts, ends, inside = (np.abs(column) for column in np.array(every, float).T)
    assert np.median(starts) <= max(0.02, 0.5 / rate)
    assert np.quantile(starts, 0.9) <= 0.08
    assert np.median(ends) <= 0.04
    assert np.quantile(ends, 0.9) <= 0.12
    assert inside.mean() >= insiders


@pytest.mark.parametrize("style", [{"rise": True}, {"rise": False}, {"sink": False}], ids=str)
def test_rising_and_sinking_are_no_part_of_a_letter(exemplars, style):
    for seed in range(4):
        found = errors(exemplars, "bad", seed, first_hold=0.5, last_hold=0.5, **style)
        assert found[0][0] == pytest.approx(0, abs=0.07)
        assert found[-1][1] == pytest.approx(0, abs=0.1)


def test_a_letter_that_is_held_is_as_long_as_its_hold(exemplars):
    track, spans, end = spelled(exemplars, "lab", letter_seconds=4.0, hold_fraction=0.8)
    for token, (_, a, b) in zip(letter_times(said_of(spans), track, end), spans, strict=True):
        assert token.end - token.start == pytest.approx(b - a, abs=0.3)


@pytest.mark.parametrize("text", ["bell", "book", "eggs", "jazzy"])
def test_doubles_have_spans_of_their_own(exemplars, text):
    track, spans, end = spelled(exemplars, text, letter_seconds=0.5, drift=0.0)
    found = letter_times(said_of(spans), track, end)
    for token, (_, a, b) in zip(found, spans, strict=True):
        assert a < (token.start + token.end) / 2 < b
    for one, other in pairwise(found):
        assert one.end <= other.start


def hold_then(times, changes):
    """A hand that shows poses, each from its time on, after a short move to it."""
    shape = np.random.default_rng(3).normal(0, 1, (len(changes) + 1, 21, 3))
    shape[:, [0, 5, 9, 17]] = [[0, 0, 0], [0.5, -0.9, 0], [0, -1, 0], [-0.6, -0.8, 0]]
    points = np.tile(shape[0], (len(times), 1, 1))
    for pose, at in zip(shape[1:], changes, strict=True):
        s = np.clip((times - at + 0.1) / 0.2, 0, 1)[:, None, None]
        points = (1 - s) * points + s * pose
    track = HandTrack(100 * points + 300, np.ones((len(times), 21)), times, 640, 480, "right")
    return track


def test_what_the_hand_does_before_and_after_is_no_part_of_a_word():
    times = 3.0 + np.arange(150) / 30
    track = hold_then(times, [4.0, 5.0, 6.0, 7.0])  # rests, comes, spells, goes, rests
    (token,) = letter_times([Token("a", 5.8, 5.85, 1.0)], track, 8.0)
    assert (token.start, token.end) == pytest.approx((5.0, 5.9), abs=0.08)


def test_a_gap_in_sight_is_gone_through_straight():
    times = np.arange(60) / 30
    track = hold_then(times, [1.0])
    hidden = (times > 0.75) & (times < 1.25)
    points = np.where(hidden[:, None, None], np.nan, track.landmarks)
    lost = replace(
        track, landmarks=points, confidence=np.where(hidden[:, None], 0.0, track.confidence)
    )
    said = [Token("a", 0.6, 0.7, 1.0), Token("b", 1.5, 1.6, 1.0)]
    one, other = letter_times(said, lost, 2.0)
    assert one.end < other.start == pytest.approx(1.0, abs=0.05)


def test_without_a_hand_or_letters_nothing_changes():
    times = np.arange(10) / 30
    unseen = HandTrack(np.full((10, 21, 3), np.nan), np.zeros((10, 21)), times, 1, 1, "right")
    said = (Token("a", 0.1, 0.2, 0.7),)
    assert letter_times(said, unseen, 0.4) == said
    assert letter_times((), hold_then(times, []), 0.4) == ()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_letters_stay_in_order_inside_and_as_they_were_read(data):
    count = data.draw(st.integers(1, 50))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rate = data.draw(st.sampled_from(RATES))
    times = data.draw(st.floats(0, 1e4)) + np.arange(count) / rate
    end = float(times[-1] + 1 / rate)
    walk = np.cumsum(rng.normal(0, data.draw(st.sampled_from([0.0, 1.0, 30.0])), (count, 21, 3)), 0)
    seen = np.repeat(rng.random((count, 1)) < data.draw(st.floats(0.2, 1)), 21, axis=1)
    track = HandTrack(walk, seen.astype(float), times, 640, 480, "right")
    steps = data.draw(st.integers(1, count))
    edges = np.sort(rng.choice(count + 1, steps + 1, replace=False))
    edges = np.append(times, end)[edges]
    letters = data.draw(st.text("abjzz ", min_size=steps, max_size=steps))
    said = [
        Token(letter, float(a), float(b), float(rng.random()))
        for letter, a, b in zip(letters, edges[:-1], edges[1:], strict=True)
    ]
    found = letter_times(said, track, end)
    assert [(t.text, t.probability) for t in found] == [(t.text, t.probability) for t in said]
    assert times[0] - CUT <= found[0].start
    assert found[-1].end <= end + CUT
    for token in found:
        assert token.start < token.end
    for one, other in pairwise(found):
        assert one.end <= other.start


@pytest.mark.slow
def test_times_of_what_the_bundled_model_reads():
    import chereme
    from chereme.synthesis import corpus, to_landmarks
    from chereme.synthesis.handshapes import to_exemplars

    recognizer = chereme.load("fingerspelling", stream="landmarks")
    every = []
    for number in range(4):
        shapes = to_exemplars(corpus.signer(number, 5).handshapes, corpus.open_hand())
        speller, rng = Speller(shapes, mixing=0.0), np.random.default_rng(number)
        for text in ("flow", "valid", "buoy", "silly"):
            clip = speller.spell(text, rng, SpellingStyle(letter_seconds=0.35, jitter=0.005))
            found = recognizer.recognize(to_landmarks(clip))
            if found.text == text:
                pairs = zip(found.tokens, clip.spans, strict=True)
                every += [(t.start - a, t.end - b) for t, (_, a, b) in pairs]
    starts, ends = np.abs(np.array(every)).T
    assert len(starts) >= 20
    assert np.median(starts) <= 0.02
    assert np.quantile(starts, 0.9) <= 0.08
    assert np.quantile(ends, 0.9) <= 0.12
