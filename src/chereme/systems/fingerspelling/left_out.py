"""What recognisers read of people whom they were not trained on, and how to decode by that.

A person's hands are shown letter by letter, and spell texts that training does not draw. Each
network says what it sees; both together are read as ``chereme.recognition`` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.words import Shares, TextSampler
from chereme.decoding import LanguageModel, Lexicon, LexiconLanguageModel, at_temperature
from chereme.decoding.tuning import Trial, fit_temperature, tune
from chereme.errors import InputError
from chereme.metrics import EditCounts, edit_counts, pool
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.metrics.calibration import calibration_error
from chereme.metrics.edits import edit_pairs
from chereme.recognition.config import Still
from chereme.recognition.ctc_letters import (
    LetterEmissions,
    Search,
    read_segment,
    read_segment_together,
    read_still_together,
)
from chereme.synthesis.spelling import Speller
from chereme.synthesis.style import SpellingStyle
from chereme.systems.fingerspelling.checkpoints import Checkpoint
from chereme.systems.fingerspelling.composed import FEATURES
from chereme.text import ASL_LETTERS
from chereme.types import HandTrack, Token

STILL_LETTERS = tuple(c for c in ASL_LETTERS.symbols if c not in MOVING)
STILL = Still(letters=STILL_LETTERS, duration=0.6, margin=-np.inf)
STILLS = "still letters"
WORDS = Shares(0.5, 0.15, 0.15, 0.15, 0.05, 0.0, 0.0)
TEXTS = {"words": WORDS, "random strings": Shares(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)}
SPEEDS = (0.5, 1.0, 3.0, 6.0, 9.0)  # letters a second
MOTION_SECONDS = 1.2  # of a recording of J or Z whose duration is not known
MOST_STILLS = 600  # of a person: recordings have hundreds of almost equal frames
FEWEST_LETTERS = 18  # with fewer there are hardly any words
GREEDY = Search(True, 1, 0.0, 0.0, 0.0, None)
ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BETAS = (0.0, 1.0, 2.0, 3.0)
WORD_SHARES = (0.2, 0.4, 0.6)
MOST_TUNED = 400  # texts


@dataclass(frozen=True)
class Question:
    """What a person shows, what it says, and of what ``kind`` that is."""

    kind: str
    person: str
    text: str
    track: HandTrack


@dataclass(frozen=True)
class Answer:
    """What a ``stream`` read of it; of each letter that was read ``letters`` has the probability,
    0..1, and whether it is right."""

    kind: str
    person: str
    stream: str
    text: str
    read: str
    letters: tuple[tuple[float, bool], ...]

    @staticmethod
    def of(kind: str, person: str, stream: str, text: str, tokens: Sequence[Token]) -> Answer:
        """The answer that consists of these letters."""
        read = "".join(token.text for token in tokens)
        found = [pair for pair in edit_pairs(text, read, "unit") if pair[1] is not None]
        letters = tuple(
            (token.probability, true == shown)
            for token, (true, shown) in zip(tokens, found, strict=True)
        )
        return Answer(kind, person, stream, text, read, letters)

    @property
    def counts(self) -> EditCounts:
        """The edits; of a single letter one, unless it was read once and nothing else was."""
        if len(self.text) == 1:
            return EditCounts(1, int(self.read != self.text))
        return edit_counts(self.text, self.read)


Emissions = Mapping[str, Sequence[LetterEmissions]]
"""What the networks of each stream say of a question."""


def texts_of(
    letters: Set[str], shares: Shares, count: int, rng: np.random.Generator, shortest: int = 1
) -> Iterator[str]:
    """``count`` texts of these letters, of 12 at most, that no training drew."""
    sampler, made = TextSampler(shares=shares, split="held_out", max_length=12), 0
    while made < count:
        text = sampler.sample(rng)
        if set(text) <= letters and len(text) >= shortest:
            made += 1
            yield text


def questions(hands: Exemplars, person: str, texts: int) -> Iterator[Question]:
    """What a person is asked, of ``hands`` alone; the same each time.

    Still letters, each picture once; ``texts`` words and as many strings; a fifth as many words at
    each of ``SPEEDS``, and with a letter that is held for 0.5 to 5 seconds; each letter twice by
    itself, held for as long, J and Z moving. A person with few letters spells no texts.
    """
    rng = np.random.default_rng(2024)
    known = np.flatnonzero(np.isin(hands.label, STILL_LETTERS))
    rows = known[np.unique(hands.picture[known], return_index=True)[1]]
    for row in rng.permutation(rows)[:MOST_STILLS]:
        points, vectors = (a[[row, row]] for a in (hands.landmarks, hands.vectors))
        times, seen = np.array([0.0, STILL.duration]), np.ones((2, 21))
        track = HandTrack(points.astype(np.float64), seen, times, 1, 1, "right", vectors=vectors)
        yield Question(STILLS, person, str(hands.label[row]), track)
    speller = Speller(hands)
    letters = {*speller.letters}

    def spelled(kind: str, text: str, **how: float) -> Question:
        style = replace(SpellingStyle.sample(rng, letters=len(text)), **how)  # type: ignore[arg-type]
        return Question(kind, person, text, speller.spell(text, rng, style).track)

    def held() -> float:
        return float(np.exp(rng.uniform(np.log(0.5), np.log(5.0))))

    if len(letters) >= FEWEST_LETTERS:
        for kind, shares in TEXTS.items():
            for text in texts_of(letters, shares, texts, rng):
                yield spelled(kind, text)
        for speed in SPEEDS:
            for text in texts_of(letters, WORDS, -(-texts // 5), rng, shortest=2):
                yield spelled(f"{speed:g} letters a second", text[:6], letter_seconds=1 / speed)
        for text in texts_of(letters, WORDS, -(-texts // 5), rng, shortest=2):
            yield spelled("words, one letter held", text[:6], held=held())
    for letter in sorted(letters) * 2:
        if letter in MOVING:
            yield spelled("J and Z", letter)
        else:
            yield spelled("held letters", letter, held=held())


def motions(hands: Exemplars) -> Iterator[Question]:
    """The recorded movements of J and Z themselves."""
    recorded = zip(hands.motion_landmarks, hands.motion_label, hands.motion_signer, strict=True)
    for points, label, signer in recorded:
        times, seen = np.linspace(0.0, MOTION_SECONDS, len(points)), np.ones(points.shape[:2])
        track = HandTrack(points.astype(np.float64), seen, times, 1, 1, "right")
        yield Question("J and Z, recorded", str(signer), str(label), track)


def emissions(networks: Mapping[str, Sequence[Checkpoint]], track: HandTrack) -> Emissions:
    """What the networks, by stream, say of ``track``, a right hand's; no search is chosen."""
    return {stream: [_emitted(one, track) for one in own] for stream, own in networks.items()}


def _emitted(network: Checkpoint, track: HandTrack) -> LetterEmissions:
    model, rate, *_ = network
    features, times = FEATURES[model.config.stream](track, rate)  # type: ignore[index]
    with torch.no_grad():
        logits = model(torch.from_numpy(features)[None])[0][0]
    log_probs = logits.log_softmax(-1).double().numpy()
    return LetterEmissions(log_probs, times, model.config.sequence.temporal_stride, GREEDY)


def answers(question: Question, every: Emissions) -> Iterator[Answer]:
    """The answer of each stream and, if there are two, of both together: "fused"."""
    groups = {stream: list(own) for stream, own in every.items()}
    if len(every) > 1:
        groups["fused"] = [one for own in every.values() for one in own]
    for stream, group in groups.items():
        if question.kind == STILLS:
            stills = [(own.log_probs, STILL, 1.0) for own in group]
            segment = read_still_together(stills, ASL_LETTERS)
        elif len(group) > 1:
            segment = read_segment_together(group, ASL_LETTERS)
        else:
            segment = read_segment(group[0], ASL_LETTERS)
        yield Answer.of(question.kind, question.person, stream, question.text, segment.tokens)


@dataclass(frozen=True)
class Decoding:
    """How a stream's log-probabilities are decoded: at a ``temperature``, by a ``search`` that
    expects words with the probability ``word_share``, or by letters alone: ``without_words``."""

    temperature: float
    search: Search
    word_share: float = 0.0
    without_words: Search | None = None

    @property
    def facts(self) -> dict[str, float]:
        """What is told of it."""
        return {
            "temperature": round(self.temperature, 3),
            "alpha": self.search.alpha,
            "beta": self.search.beta,
            "word_share": self.word_share,
        }

    def warm(self, emissions: LetterEmissions) -> LetterEmissions:
        """``emissions`` at the temperature."""
        log_probs = at_temperature(emissions.log_probs, self.temperature)
        return replace(emissions, log_probs=log_probs)


Asked = tuple[Question, Emissions]


def tuned(
    asked: Sequence[Asked], lm: LanguageModel, lexicon: Lexicon | None = None
) -> tuple[list[Asked], dict[str, Decoding]]:
    """The decoding of each stream, tuned on every other one of the texts in ``asked``; and what it
    was not tuned on. InputError without texts."""
    texts = [one for one in asked if one[0].kind in TEXTS]
    if not texts:
        raise InputError("tuning: expected texts, got questions of single letters alone")
    rest = [one for one in asked if one[0].kind not in TEXTS] + texts[1::2]
    texts = texts[::2]
    texts = texts[:: -(-len(texts) // MOST_TUNED)]
    decodings = {}
    for stream in dict.fromkeys(stream for _, every in texts for stream in every):
        pairs = [
            (question.text, own.log_probs) for question, every in texts for own in every[stream]
        ]
        decodings[stream] = _decoding(pairs, lm, lexicon)
    return rest, decodings


def _decoding(
    pairs: Sequence[tuple[str, NDArray[Any]]], lm: LanguageModel, lexicon: Lexicon | None
) -> Decoding:
    """The temperature that makes the texts likeliest, the best weights of the letter model, then
    the best share of words, with some weights above."""
    log_probs, texts = [own for _, own in pairs], [ASL_LETTERS.encode(text) for text, _ in pairs]
    temperature = fit_temperature(log_probs, texts)
    warm = [at_temperature(own, temperature) for own in log_probs]
    letters = _best(tune(warm, texts, lm=lm, alphas=ALPHAS, betas=BETAS))
    without = Search(False, letters.width, letters.alpha, letters.beta, 0.0, lm)
    if lexicon is None:
        return Decoding(temperature, without)
    models = {share: LexiconLanguageModel(lm, [(lexicon, share)]) for share in WORD_SHARES}
    alphas, betas = (letters.alpha, letters.alpha + 0.2), (letters.beta, letters.beta + 1.0)
    best = {
        share: _best(tune(warm, texts, lm=model, alphas=alphas, betas=betas))
        for share, model in models.items()
    }
    share = max(best, key=lambda one: best[one].counts.accuracy)
    chosen = Search(False, letters.width, best[share].alpha, best[share].beta, 0.0, models[share])
    return Decoding(temperature, chosen, share, without)


def _best(trials: Sequence[Trial]) -> Trial:
    """Of the settings that are as good as the first, that of the smallest bonus: it doubles letters
    that are held long."""
    near = [t for t in trials if t.counts.accuracy > trials[0].counts.accuracy - 0.25]
    return min(near, key=lambda trial: (trial.beta, trial.alpha))


def read(
    question: Question, every: Emissions, decodings: Mapping[str, Decoding]
) -> Iterator[Answer]:
    """The answers as decoded; of texts also those without words, and without a search."""
    warm = {s: [decodings[s].warm(one) for one in own] for s, own in every.items()}
    ways = {"": {stream: one.search for stream, one in decodings.items()}}
    if question.kind in TEXTS:
        without = {stream: one.without_words for stream, one in decodings.items()}
        if all(without.values()):
            ways[", no words"] = {stream: search for stream, search in without.items() if search}
        ways[", no search"] = dict.fromkeys(decodings, GREEDY)
    for way, searches in ways.items():
        searched = {s: [replace(one, search=searches[s]) for one in own] for s, own in warm.items()}
        yield from answers(replace(question, kind=question.kind + way), searched)


def figures(some: Sequence[Answer]) -> dict[str, Any]:
    """What is told of answers of one kind and stream.

    ``accuracy``: in per cent, the mean of that of each of ``people``; ``interval``: its 95 %, had
    other people been drawn; ``calibration_error``: of the letters that were read, 0..1, None
    without any; ``letters``: the accuracy of each, where single letters were shown. InputError
    without answers.
    """
    if not some:
        raise InputError("answers: expected at least one, got none")
    people = _accuracies([(one.person, one.counts) for one in some])
    drawn, number = resampled_totals(np.array([[value, 1.0] for value in people.values()]))
    letters = np.array([pair for one in some for pair in one.letters])
    return {
        "items": len(some),
        "accuracy": float(np.mean([*people.values()])),
        "interval": percentiles(drawn / number),
        "calibration_error": calibration_error(*letters.T) if len(letters) else None,
        "people": people,
        "letters": _accuracies([(a.text, a.counts) for a in some if len(a.text) == 1]),
    }


def _accuracies(given: Sequence[tuple[str, EditCounts]]) -> dict[str, float]:
    found: dict[str, list[EditCounts]] = {}
    for name, counts in given:
        found.setdefault(name, []).append(counts)
    return {name: pool(own).accuracy for name, own in sorted(found.items())}
