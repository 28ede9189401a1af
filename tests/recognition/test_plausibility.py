"""What is unlikely to be fingerspelling: no letters, or a warning; real spelling stays as it is."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chereme
import fakes
from chereme.formats.poses import read_landmarks
from chereme.hands.signing import hand_tracks
from chereme.recognition.ctc_letters import Segment
from chereme.recognition.plausibility import (
    DOUBT,
    NOTHING,
    judge,
    other_hand_beside,
    spelling_score,
)
from chereme.recognition.report import palm_fraction, warnings_about
from chereme.types import Landmarks, Token

LEAST = 0.41


def segment(probability: float, text: str = "vil", start: float = 0.0) -> Segment:
    """Letters of a third of a second each, all of one ``probability``."""
    tokens = tuple(
        Token(letter, start + i / 3, start + (i + 1) / 3, probability)
        for i, letter in enumerate(text)
    )
    return Segment(tokens, start, start + len(text) / 3, 0.0)


def two(apart: float, frames: slice = slice(None)) -> Landmarks:
    """A hand that spells, and another ``apart`` palm lengths beside it in ``frames``."""
    one = fakes.spell("vil", fps=30.0, letter_seconds=1 / 3)
    palm = 90.0
    points = np.concatenate([one.landmarks, one.landmarks + np.array([apart * palm, 0, 0])], axis=1)
    confidence = np.concatenate([one.confidence, np.zeros_like(one.confidence)], axis=1)
    confidence[frames, 1] = 1.0
    points[confidence == 0] = np.nan
    return replace(
        one,
        landmarks=points.astype(np.float32),
        confidence=confidence,
        handedness=("right", "left"),
    )


@pytest.mark.parametrize(
    ("probability", "beside", "rival", "text", "warning"),
    [
        (0.95, False, 0.0, "vil", []),
        (0.8, False, 0.0, "vil", []),
        (0.8, False, 1.0, "vil", []),
        (0.7, False, 0.0, "vil", [DOUBT]),
        (0.5, False, 0.0, "vil", [DOUBT]),
        (0.35, False, 0.0, "", [NOTHING]),
        (0.99, True, 0.0, "vil", []),
        (0.85, True, 0.5, "vil", [DOUBT]),
        (0.6, True, 0.0, "vil", [DOUBT]),
        (0.6, True, 0.5, "", [NOTHING]),
        (0.9, True, 1.0, "", [NOTHING]),
    ],
)
def test_sureness_and_the_other_hand_decide(
    probability: float, beside: bool, rival: float, text: str, warning: list[str]
) -> None:
    landmarks = two(1.5 if beside else 5.0)
    track = hand_tracks(landmarks)[0]
    (judged,), warnings = judge([segment(probability)], track, landmarks, least=LEAST, rival=rival)
    assert (judged.text, warnings) == (text, warning)


def test_each_stretch_is_judged_alone_and_a_warning_given_once() -> None:
    landmarks = two(5.0)
    track = hand_tracks(landmarks)[0]
    judged, warnings = judge(
        [segment(p) for p in (0.3, 0.95, 0.2)], track, landmarks, least=LEAST, rival=0.0
    )
    assert [one.text for one in judged] == ["", "vil", ""]
    assert warnings == [NOTHING]


def test_a_model_that_says_nothing_of_spelling_keeps_all_letters() -> None:
    landmarks = two(1.5)
    judged, warnings = judge(
        [segment(0.2)], hand_tracks(landmarks)[0], landmarks, least=0.0, rival=1.0
    )
    assert (judged[0].text, warnings) == ("vil", [DOUBT])


def test_silence_is_no_invention() -> None:
    assert spelling_score([], 1.0) == math.inf
    landmarks = fakes.spell("v")
    silent = segment(0.3, "")
    assert judge([silent], hand_tracks(landmarks)[0], landmarks, least=LEAST, rival=0.0) == (
        (silent,),
        [],
    )


@pytest.mark.parametrize(("apart", "expected"), [(1.5, True), (2.4, True), (2.6, False)])
def test_the_other_hand_counts_where_it_is_seen_nearby(apart: float, expected: bool) -> None:
    landmarks = two(apart, slice(0, 10))
    beside = other_hand_beside(hand_tracks(landmarks)[0], landmarks)
    assert beside[:10].tolist() == [expected] * 10
    assert not beside[10:].any()
    part = hand_tracks(landmarks)[0].part(5, 14)
    assert other_hand_beside(part, landmarks).tolist() == [expected] * 5 + [False] * 5
    alone = fakes.spell("vil")
    assert not other_hand_beside(hand_tracks(alone)[0], alone).any()


def test_no_real_spelling_is_doubted_or_loses_a_letter(shared_data: Path) -> None:
    folder = shared_data / "fingerspelling_dev"
    recognizer = chereme.load("fingerspelling")
    with (folder / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if not row["path"].endswith(".mp4")]
    for row in rows:
        transcript = recognizer.recognize(read_landmarks(folder / row["path"]))
        assert not {DOUBT, NOTHING} & set(transcript.warnings), row["path"]
        assert transcript.text


@pytest.mark.slow
def test_two_handed_alphabets_are_marked(shared_data: Path) -> None:
    clips = sorted((shared_data / "formats" / "isl_fingerspelling").glob("*.mp4"))
    recognizer = chereme.load("fingerspelling")
    read = [recognizer.recognize(clip) for clip in clips]
    assert all({DOUBT, NOTHING} & set(t.warnings) for t in read if t.text)


@pytest.mark.parametrize(
    ("coverage", "palm", "read", "told"),
    [
        (0.2, 0.01, True, True),
        (0.9, 0.01, False, True),
        (0.9, 0.01, True, False),
        (0.2, 0.1, True, False),
    ],
)
def test_a_small_hand_that_is_hardly_seen_or_read_is_named(
    coverage: float, palm: float, read: bool, told: bool
) -> None:
    seen = fakes.spell("vil")
    scale = palm / palm_fraction(hand_tracks(seen))
    small = replace(seen, landmarks=seen.landmarks * np.float32(scale))
    assert palm_fraction(hand_tracks(small)) == pytest.approx(palm, rel=1e-3)
    segments = [segment(1.0)] if read else []
    warnings = warnings_about(coverage, segments, palm=palm_fraction(hand_tracks(small)))
    assert any("small in the picture (its palm is 1.0%" in warning for warning in warnings) == told
