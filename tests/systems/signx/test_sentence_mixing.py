"""Made sentences are signed as their parts were, and say what these say."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.datasets.sentences import Gloss, Sentence
from chereme.errors import UsageError
from chereme.formats.tracks import PoseTracks, TrackSpec, one_track, register_track
from chereme.systems.signx.sentence_mixing import (
    Composition,
    Segment,
    SentenceMixer,
    concat,
    numbered,
    shown_in,
)

PLACE = register_track(TrackSpec("test_composed", 1, "where a test's hand is"))
KIND = register_track(TrackSpec("test_composed_kind", 1, "what a test sees", blends=False))


def sentence(name: str, glosses: str, signer: str | None = "a", timed: bool = True) -> Sentence:
    """Glosses of 0.4 s, 0.2 s between them."""
    found = tuple(
        Gloss(word, 0.6 * n, 0.6 * n + 0.4) if timed else Gloss(word)
        for n, word in enumerate(glosses.split())
    )
    return Sentence(id=name, path=Path(name), glosses=found, signer=signer)


SENTENCES = (
    sentence("0", "I SEE YOU"),
    sentence("1", "YOU SEE JOHN NOW"),
    sentence("2", "MARY SEE BOOK", signer="b"),
    sentence("3", "I GO", timed=False),
    sentence("4", "JOHN SEE MARY", signer=None),
    sentence("5", "YOU"),
)


def made(number: int, times: int = 200, longest: int = 64, **options: Any) -> list[list[Segment]]:
    composer = ready(Composition(**options), longest)
    return [composer.segments(number, np.random.default_rng(n)) for n in range(times)]


def ready(config: Composition, longest: int = 64, rate: float = 10.0) -> SentenceMixer:
    frames = [round(rate * (0.6 * len(s.words) + 0.3)) for s in SENTENCES]
    return SentenceMixer(SENTENCES, config, longest, frames, [rate] * len(SENTENCES))


def words(parts: list[Segment]) -> list[str]:
    return [word for p in parts for word in SENTENCES[p.sentence].words[p.first : p.last]]


def test_a_made_sentence_goes_over_to_others_of_the_signer_and_ends_with_them() -> None:
    found = made(0, fraction=1.0, switch=0.5, grammar=0.0)
    assert len({tuple(words(parts)) for parts in found}) > 10
    for parts in found:
        assert {part.sentence for part in parts} <= {0, 1}
        assert parts[0][:2] == (0, 0)
        assert parts[-1].last == len(SENTENCES[parts[-1].sentence].words)
        assert all(part.first < part.last for part in parts)
        assert all(part.first > 0 for part in parts[1:])
        for one, other in pairwise(parts):
            assert (one.sentence, one.last) != (other.sentence, other.first)
    assert made(0, fraction=1.0) == made(0, fraction=1.0)


def test_by_grammar_no_glosses_follow_each_other_that_never_did() -> None:
    pairs = {pair for s in SENTENCES for pair in pairwise(s.words)}
    found = [words(parts) for parts in made(0, fraction=1.0, switch=0.7, grammar=1.0)]
    assert all(pair in pairs for own in found for pair in pairwise(own))
    assert ["I", "SEE", "JOHN", "NOW"] in found
    others = [words(parts) for parts in made(0, fraction=1.0, switch=0.7, grammar=0.0)]
    assert not all(pair in pairs for own in others for pair in pairwise(own))


def test_fractions() -> None:
    whole = [Segment(1, 0, 4)]
    assert made(1, fraction=0.0) == [whole] * 200
    found = made(1, 2000, fraction=0.3, segments=0.5, longest_segment=2, switch=1.0)
    several = np.mean([len(parts) > 1 for parts in found])
    alone = [parts[0] for parts in found if len(parts) == 1 and parts != whole]
    assert several == pytest.approx(0.3, abs=0.04)
    assert len(alone) / len(found) == pytest.approx(0.5, abs=0.04)
    assert {(p.first, p.last - p.first) for p in alone} == {
        *((first, 1) for first in range(4)),
        *((first, 2) for first in range(3)),
    }


@pytest.mark.parametrize("number", [3, 4, 5])
def test_without_times_signer_or_boundaries_it_stays_as_it_is(number: int) -> None:
    whole = [Segment(number, 0, len(SENTENCES[number].words))]
    assert made(number, 20, fraction=0.5, segments=0.5) == [whole] * 20
    # Nor is anything taken of it.
    used = {part.sentence for parts in made(0, fraction=1.0, grammar=0.0) for part in parts}
    assert number not in used


def test_no_made_sentence_is_too_long() -> None:
    long = [words(parts) for parts in made(1, fraction=1.0, switch=0.9)]
    short = [words(parts) for parts in made(1, fraction=1.0, switch=0.9, longest=4)]
    assert max(map(len, long)) > 4
    assert max(map(len, short)) == 4


def test_cuts_are_half_way_between_glosses() -> None:
    composer = ready(Composition())
    assert composer.span(Segment(0, 0, 3)) == slice(0, 21)
    assert composer.span(Segment(1, 1, 3)) == slice(5, 17)
    # Where a gloss has no frame of its own, its sentence stays as it is.
    slow = ready(Composition(fraction=1.0), rate=1.0)
    assert [len(slow.segments(0, np.random.default_rng(n))) for n in range(9)] == [1] * 9


def test_joined_clips_go_in_a_straight_line() -> None:
    def clip(values: list[float], kinds: list[float]) -> PoseTracks:
        place = one_track(PLACE.name, np.array(values)[:, None], 10.0)
        kind = one_track(KIND.name, np.array(kinds)[:, None], 10.0)
        return PoseTracks(10.0, {**place.values, **kind.values}, {**place.present, **kind.present})

    first, second = clip([0, 1, 2], [5, 5, 5]), clip([8, np.nan], [7, 7])
    whole = concat([first, second], 0.3)
    np.testing.assert_allclose(whole.values[PLACE.name][:, 0], [0, 1, 2, 4, 6, 8, np.nan])
    assert whole.values[KIND.name][:, 0].tolist() == [5, 5, 5, 5, 7, 7, 7]
    assert whole.present[PLACE.name].tolist() == [True] * 6 + [False]
    assert concat([first], 0.3) is first
    assert concat([first, second], 0.0).frames == 5


@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 1.1},
        {"fraction": 0.6, "segments": 0.5},
        {"switch": -0.1},
        {"grammar": 2},
        {"bridge": -1},
        {"longest_segment": 0},
    ],
)
def test_fractions_that_are_none_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="compose: expected fractions from 0 to 1"):
        Composition(**options)


def test_frames_know_which_gloss_they_show() -> None:
    first = SENTENCES[0]
    clip = one_track("test_composed", np.arange(17.0)[:, None], 10.0)
    shown = shown_in(first, clip)
    assert shown is not None
    assert shown.tolist() == [0] * 5 + [-1] + [1] * 5 + [-1] + [2] * 5
    assert shown_in(SENTENCES[3], clip) is None
    late = replace(first, start=0.6, glosses=first.glosses[1:])
    assert (shown_in(late, clip.part(0.6, 1.1)) == 0).all()


def test_a_made_sentence_knows_it_too() -> None:
    clips, said = [], 0
    for part in (Segment(0, 0, 1), Segment(1, 2, 4)):  # I + JOHN NOW
        whole = one_track("test_composed", np.arange(24.0)[:, None], 10.0)
        whole = replace(whole, shown=shown_in(SENTENCES[part.sentence], whole))
        span = ready(Composition()).span(part)
        clip = whole.part(span.start / 10, span.stop / 10)
        clips.append(numbered(clip, part, said))
        said += part.last - part.first
    made = concat(clips, 0.3)
    order = [int(n) for n, _ in groupby(made.shown[made.shown >= 0])]  # type: ignore[index]
    assert order == [0, 1, 2]
    slow = made.at_frames(np.arange(0, made.frames - 0.5, 0.5))
    assert slow.shown is not None
    assert abs((slow.shown == 1).sum() - 2 * (made.shown == 1).sum()) <= 1
    unknown = replace(clips[0], shown=None)
    assert concat([unknown, clips[1]], 0.3).shown is None
