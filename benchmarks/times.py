"""When letters and glosses are signed, against what is known of synthetic clips.

    python benchmarks/times.py --root ../shared/data [--texts 100] [--rendered data/spelled]
        [--signing my_signing data/signing] [--boston my_boston]

Letters, by the bundled models: clips composed of the hands of three people of whom no model has
seen anything (``letters_people_dev``); with ``--rendered`` all videos of ``chereme synthesize
--corpus``, hands found by the detector. Glosses, by bundles trained as docs/results_times.md says:
``--signing``, sentences of ``chereme prepare signing`` of the split test; ``--boston``, the
sentences of the first fold of ``boston104``, which it was not trained on. Only what is read right
is measured. "CTC" are the times at which CTC has a letter.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from recordings import people
from results import markdown

import chereme
from chereme.datasets import boston104
from chereme.datasets.exemplars import MOVING
from chereme.datasets.sentence_folds import folds
from chereme.datasets.sentences import from_manifest, sentence_tracks
from chereme.datasets.words import Shares, TextSampler
from chereme.metrics.edits import edit_pairs
from chereme.recognition import fingerspelling
from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
from chereme.synthesis import Speller, SpellingStyle, to_landmarks
from chereme.types import Token

Span = tuple[str, float, float]
Row = tuple[float, float, float, float]  # start and end: true, found
Rows = dict[str, list[Row]]

SHARES = Shares(0.4, 0.1, 0.1, 0.1, 0.05, 0.05, 0.2)
RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
HELD, FAST = 0.8, 0.2  # seconds a letter, at least, at most
KINDS = ("CTC", "found", "fast", "usual", "held", "the second of a double", "J and Z")
HEAD = ("", "n", "start", "90 %", "end", "90 %", "middle inside", "length")


# -- letters ---------------------------------------------------------------------------------------
def composed(speller: Speller, texts: int, rng: np.random.Generator) -> Iterator[tuple[Any, str]]:
    """Clips of one person, and how fast each is: a seventh of them hold each letter for long."""
    sampler = TextSampler(shares=SHARES, split="held_out", max_length=12)
    made = 0
    while made < texts:
        text = sampler.sample(rng)
        if not set(text) <= {*speller.letters, " "}:
            continue
        made += 1
        style = SpellingStyle.sample(rng, letters=len(text))
        style = replace(style, rate=float(rng.choice(RATES)))
        if rng.random() < 1 / 7:
            text = text.strip()[:3]
            long = rng.uniform(HELD, 2.5)
            style = replace(style, letter_seconds=long, hold_fraction=rng.uniform(0.6, 0.85))
        tempo = style.letter_seconds
        pace = "held" if tempo >= HELD else "fast" if tempo <= FAST else "usual"
        yield speller.spell(text, rng, style), pace


@contextmanager
def as_ctc() -> Iterator[dict[Token, Token]]:
    """Collects of letters as they are found those as CTC has them."""
    own, kept = fingerspelling.letter_times, {}

    def times(tokens: Sequence[Token], *rest: Any) -> tuple[Token, ...]:
        found: tuple[Token, ...] = own(tokens, *rest)
        kept.update(zip(found, tokens, strict=True))
        return found

    fingerspelling.letter_times = times
    try:
        yield kept
    finally:
        fingerspelling.letter_times = own


def matched(true: Sequence[str], found: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of what is read right, in the truth and in the reading."""
    i = j = 0
    for one, other in edit_pairs(true, found, "unit"):
        if one is not None and one == other:
            yield i, j
        i, j = i + (one is not None), j + (other is not None)


def measure(recognizer: Any, source: Any, true: Sequence[Span], end: float, pace: str) -> Rows:
    """The letters of one source, as CTC has them, as found, and those found of some kinds."""
    with as_ctc() as kept:
        transcript = recognizer.recognize(source)
    found = [token for token in transcript.tokens if token.text.strip()]
    rows: Rows = {}
    for i, j in matched([span[0] for span in true], [token.text for token in found]):
        letter, start, stop = true[i]
        truth = max(start, 0.0), min(stop, end)
        kinds = ["found", pace] if pace else ["found"]
        if i and true[i - 1][0] == letter:
            kinds.append("the second of a double")
        if letter in MOVING:
            kinds.append("J and Z")
        for kind in kinds:
            rows.setdefault(kind, []).append((*truth, found[j].start, found[j].end))
        token = kept[found[j]]
        rows.setdefault("CTC", []).append((*truth, token.start, token.end))
    return rows


def letters_composed(root: Path, texts: int) -> Rows:
    """By the model of landmarks, of each person too."""
    recognizer, rng = chereme.load("fingerspelling", stream="landmarks"), np.random.default_rng(1)
    rows: Rows = {}
    for number, (_, hands) in enumerate(people(root, "letters_people_dev"), start=1):
        for clip, pace in composed(Speller(hands), texts, rng):
            end = float(clip.track.timestamps[-1])
            found = measure(recognizer, to_landmarks(clip), clip.spans, end, pace)
            add(rows, found | {f"person {number}": found.get("found", [])})
    return rows


def letters_rendered(folder: Path, stream: str) -> Rows:
    """Of all videos: no bundled model has seen any."""
    recognizer, rows = chereme.load("fingerspelling", stream=stream), {}
    for path in sorted(folder.rglob("*.mp4")):
        tokens = json.loads(path.with_suffix(".json").read_text())["tokens"]
        true = [(t["text"], t["start"], t["end"]) for t in tokens if t["text"].strip()]
        add(rows, measure(recognizer, path, true, np.inf, ""))
    return rows


# -- glosses ---------------------------------------------------------------------------------------
def glosses_of(bundle: Path, clips: Iterator[tuple[Any, Any]]) -> Rows:
    """Tracks with their glosses, read with the CTC head."""
    recognizer = ContinuousRecognizer(load_continuous(bundle), read_with="ctc")
    rows: Rows = {"found": []}
    for tracks, true in clips:
        found = recognizer.recognize(tracks).tokens
        for i, j in matched([gloss.text for gloss in true], [one.text for one in found]):
            ends = found[j].start, found[j].end
            rows["found"].append((true[i].start, true[i].end, *ends))
    return rows


def signing_clips(folder: Path) -> Iterator[tuple[Any, Any]]:
    for sentence in from_manifest(folder / "manifest.csv").split("test"):
        yield sentence_tracks(sentence), sentence.glosses


def boston_clips(folder: Path) -> Iterator[tuple[Any, Any]]:
    sentences, tracks = boston104.read(folder).sentences, boston104.read_tracks(folder)
    tested = folds(sentences)[0]
    for sentence in sentences:
        if sentence.id in tested:
            yield tracks[sentence.id], sentence.glosses


# -- tables ----------------------------------------------------------------------------------------
def add(rows: Rows, more: Rows) -> None:
    for kind, some in more.items():
        rows.setdefault(kind, []).extend(some)


def figures(rows: Sequence[Row]) -> list[str]:
    """The cells of a line: errors in seconds, the median and what 90 % stay within; the share whose
    middle lies within the true span, and the length in lengths of that."""
    true_start, true_end, start, end = np.array(rows).T
    middle = (start + end) / 2
    inside = 100 * np.mean((true_start <= middle) & (middle <= true_end))
    cells = [f"{len(rows):,}"]
    for error in (np.abs(start - true_start), np.abs(end - true_end)):
        cells += [f"{np.median(error):.3f}", f"{np.quantile(error, 0.9):.3f}"]
    share = np.median((end - start) / np.maximum(true_end - true_start, 1e-6))
    return [*cells, f"{inside:.1f}", f"{share:.2f}"]


def show(title: str, rows: Rows) -> None:
    kinds = [kind for kind in KINDS if kind in rows] + sorted(set(rows) - set(KINDS))
    lines = [[kind, *figures(rows[kind])] for kind in kinds if rows[kind]]
    print(f"## {title}\n\n{markdown(HEAD, lines)}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=100, help="composed of the hands of each")
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--streams", nargs="+", default=("landmarks", "rgb", "fused"))
    parser.add_argument("--signing", type=Path, nargs=2, metavar=("BUNDLE", "FOLDER"))
    parser.add_argument("--boston", type=Path, metavar="BUNDLE")
    given = parser.parse_args()
    show("Letters, composed of the hands of strangers", letters_composed(given.root, given.texts))
    if given.signing:
        bundle, folder = given.signing
        show("Glosses, synthetic sentences", glosses_of(bundle, signing_clips(folder)))
    if given.boston:
        clips = boston_clips(given.root / "boston104")
        show("Glosses, RWTH-BOSTON-104", glosses_of(given.boston, clips))
    for stream in given.streams if given.rendered else ():
        rows = letters_rendered(given.rendered, stream)
        show(f"Letters, rendered videos of strangers, {stream}", rows)


if __name__ == "__main__":
    main()
