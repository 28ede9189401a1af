"""When letters and glosses are signed, against what is known of synthetic clips.

    python benchmarks/times.py --root ../shared/data [--texts 100] [--rendered data/spelled]
        [--signing my_signing --sentences data/signing] [--boston my_boston]

Letters, by the bundled models: clips composed of the hands of strangers; with ``--rendered`` all
videos of ``chereme synthesize --corpus``. Glosses, by bundles trained as docs/results_times.md
says: ``--signing``, sentences of ``chereme prepare signing`` of the split test; ``--boston``, of
the first fold of ``boston104``, which it was not trained on. Only what is read right is measured.
"CTC" are the times at which CTC has a letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from jsonargparse import auto_cli
from recordings import people_of
from results import markdown

import chereme
from chereme.datasets import boston104
from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.sentence_folds import folds
from chereme.datasets.sentences import from_manifest, sentence_tracks
from chereme.datasets.words import Shares
from chereme.metrics.edits import edit_pairs
from chereme.recognition import fingerspelling
from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
from chereme.synthesis import Speller, SpellingStyle, to_landmarks
from chereme.systems.fingerspelling.left_out import texts_of
from chereme.types import Token

Span = tuple[str, float, float]
Row = tuple[str, float, float, float, float]  # of what kind; start and end: true, found

SHARES = Shares(0.4, 0.1, 0.1, 0.1, 0.05, 0.05, 0.2)
RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
HELD, FAST = 0.8, 0.2  # seconds a letter, at least, at most
KINDS = ("CTC", "found", "fast", "usual", "held", "the second of a double", "J and Z")


# -- letters ---------------------------------------------------------------------------------------
def composed(speller: Speller, texts: int, rng: np.random.Generator) -> Iterator[tuple[Any, str]]:
    """Clips of one person, and how fast each is: a seventh of them hold each letter for long."""
    for text in texts_of({*speller.letters, " "}, SHARES, texts, rng):
        style = SpellingStyle.sample(rng, letters=len(text))
        style = replace(style, rate=float(rng.choice(RATES)))
        if rng.random() < 1 / 7:
            text = text.strip()[:3]
            long = rng.uniform(HELD, 2.5)
            style = replace(style, letter_seconds=long, hold_fraction=rng.uniform(0.6, 0.85))
        tempo = style.letter_seconds
        pace = "held" if tempo >= HELD else "fast" if tempo <= FAST else "usual"
        yield speller.spell(text, rng, style), pace


def matched(true: Sequence[str], found: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of what is read right, in the truth and in the reading."""
    i = j = 0
    for one, other in edit_pairs(true, found, "unit"):
        if one is not None and one == other:
            yield i, j
        i, j = i + (one is not None), j + (other is not None)


def measure(
    recognizer: Any, source: Any, true: Sequence[Span], end: float, *about: str
) -> Iterator[Row]:
    """The letters of one source, as CTC has them, and as found, of all kinds that they are of."""
    own, as_ctc = fingerspelling.letter_times, dict[Token, Token]()

    def letter_times(tokens: Sequence[Token], *rest: Any) -> tuple[Token, ...]:
        result: tuple[Token, ...] = own(tokens, *rest)
        as_ctc.update(zip(result, tokens, strict=True))
        return result

    with patch.object(fingerspelling, "letter_times", letter_times):
        transcript = recognizer.recognize(source)
    found = [token for token in transcript.tokens if token.text.strip()]
    for i, j in matched([span[0] for span in true], [token.text for token in found]):
        letter, start, stop = true[i]
        kinds = ["found", *about]
        if i and true[i - 1][0] == letter:
            kinds.append("the second of a double")
        if letter in MOVING:
            kinds.append("J and Z")
        given = [("CTC", as_ctc[found[j]]), *((kind, found[j]) for kind in kinds)]
        for kind, token in given:
            yield kind, max(start, 0.0), min(stop, end), token.start, token.end


def letters_composed(strangers: Path, texts: int) -> Iterator[Row]:
    """By the model of landmarks, of each person too."""
    recognizer, rng = chereme.load("fingerspelling", stream="landmarks"), np.random.default_rng(1)
    for number, (_, hands) in enumerate(people_of(Exemplars.load(strangers)), start=1):
        for clip, pace in composed(Speller(hands), texts, rng):
            end, about = float(clip.track.timestamps[-1]), (pace, f"person {number}")
            yield from measure(recognizer, to_landmarks(clip), clip.spans, end, *about)


def letters_rendered(folder: Path, stream: str) -> Iterator[Row]:
    """Of all videos: no bundled model has seen any."""
    recognizer = chereme.load("fingerspelling", stream=stream)
    for path in sorted(folder.rglob("*.mp4")):
        tokens = json.loads(path.with_suffix(".json").read_text())["tokens"]
        true = [(t["text"], t["start"], t["end"]) for t in tokens if t["text"].strip()]
        yield from measure(recognizer, path, true, np.inf)


# -- glosses ---------------------------------------------------------------------------------------
def glosses_of(bundle: Path, clips: Iterable[tuple[Any, Any]]) -> Iterator[Row]:
    """Tracks with their glosses, read with the CTC head."""
    recognizer = ContinuousRecognizer(load_continuous(bundle), read_with="ctc")
    for tracks, true in clips:
        found = recognizer.recognize(tracks).tokens
        for i, j in matched([gloss.text for gloss in true], [one.text for one in found]):
            yield "found", true[i].start, true[i].end, found[j].start, found[j].end


def signing_clips(folder: Path) -> Iterator[tuple[Any, Any]]:
    for sentence in from_manifest(folder / "manifest.csv").split("test"):
        yield sentence_tracks(sentence), sentence.glosses


def boston_clips(folder: Path) -> Iterator[tuple[Any, Any]]:
    sentences, tracks = boston104.read(folder).sentences, boston104.read_tracks(folder)
    tested = folds(sentences)[0]
    return ((tracks[one.id], one.glosses) for one in sentences if one.id in tested)


# -- tables ----------------------------------------------------------------------------------------
def figures(rows: np.ndarray) -> list[str]:
    """The cells of a line: errors in seconds, the median and what 90 % stay within; the share whose
    middle lies within the true span, and the length in lengths of that."""
    true_start, true_end, start, end = rows.T
    middle = (start + end) / 2
    inside = 100 * np.mean((true_start <= middle) & (middle <= true_end))
    cells = [f"{len(rows):,}"]
    for error in (np.abs(start - true_start), np.abs(end - true_end)):
        cells += [f"{np.median(error):.3f}", f"{np.quantile(error, 0.9):.3f}"]
    share = np.median((end - start) / np.maximum(true_end - true_start, 1e-6))
    return [*cells, f"{inside:.1f}", f"{share:.2f}"]


def show(title: str, rows: Iterable[Row]) -> None:
    by_kind: dict[str, list[tuple[float, ...]]] = {}
    for kind, *times in rows:
        by_kind.setdefault(kind, []).append(tuple(times))
    kinds = [kind for kind in KINDS if kind in by_kind] + sorted(set(by_kind) - set(KINDS))
    head = ("", "n", "start", "90 %", "end", "90 %", "middle inside", "length")
    lines = [[kind, *figures(np.array(by_kind[kind]))] for kind in kinds]
    print(f"## {title}\n\n{markdown(head, lines)}\n", flush=True)


def main(
    root: Path,
    strangers: Path = Path("runs/exemplars_dev.npz"),
    texts: int = 100,
    rendered: Path | None = None,
    streams: tuple[str, ...] = ("landmarks", "rgb", "fused"),
    signing: Path | None = None,
    sentences: Path = Path("data/signing"),
    boston: Path | None = None,
) -> None:
    """Args:
    strangers: exemplars of ``chereme prepare exemplars``; ``texts``: of the hands of each.
    signing: a bundle, which reads ``sentences``.
    boston: a bundle.
    """
    show("Letters, composed of the hands of strangers", letters_composed(strangers, texts))
    if signing:
        show("Glosses, synthetic sentences", glosses_of(signing, signing_clips(sentences)))
    if boston:
        show("Glosses, RWTH-BOSTON-104", glosses_of(boston, boston_clips(root / "boston104")))
    for stream in streams if rendered else ():
        rows = letters_rendered(rendered, stream)
        show(f"Letters, rendered videos of strangers, {stream}", rows)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
