"""When letters and glosses are signed, against what is known of synthetic clips.

Prints the figures of docs/results_times.md, which has the command.

    python benchmarks/times.py --root ../shared/data [--texts 100] [--rendered data/spelled]
        [--signing my_signing data/signing] [--boston my_boston]

Letters, by the bundled models: clips composed of the hands of three people of whom no model has
seen anything (``letters_people_dev``); with ``--rendered`` all videos of ``chereme synthesize
--corpus``, hands found by the detector. Glosses, by bundles trained as
docs/continuous.md says: ``--signing``, sentences of ``chereme prepare signing`` of the split test;
``--boston``, the sentences of the first fold of ``boston104``, which it was not trained on.
Only what is read right is measured. "As said" are the times at which CTC says it.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import chereme
from chereme.datasets import boston104
from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.sentences import from_manifest, sentence_tracks
from chereme.datasets.words import Shares, TextSampler
from chereme.hands.skeleton import mirror
from chereme.metrics.edits import edit_pairs
from chereme.recognition import fingerspelling as letters
from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
from chereme.synthesis import Speller, SpellingStyle, to_landmarks
from chereme.types import Token

Span = tuple[str, float, float]
Row = tuple[float, float, float, float]  # start and end: true, found
Rows = dict[str, list[Row]]

PEOPLE = "letters_people_dev"
SHARES = Shares(0.4, 0.1, 0.1, 0.1, 0.05, 0.05, 0.2)
RATES = (24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
HELD, FAST = 0.8, 0.2  # seconds a letter, at least, at most
KINDS = ("as said", "found", "fast", "usual", "held", "the second of a double", "J and Z")
STREAMS = ("landmarks", "rgb", "fused")


# -- letters ---------------------------------------------------------------------------------------
def people(root: Path) -> Iterator[Exemplars]:
    """The letters of each person, as right hands."""
    for path in sorted((root / PEOPLE).glob("*.landmarks.npz")):
        name = path.name.split(".")[0]
        with path.with_name(f"{name}.index.csv").open(newline="") as file:
            rows = {row["path"]: row for row in csv.DictReader(file)}
        hands, labels = [], []
        with np.load(path) as data:
            every = zip(
                data["path"], data["label"], data["landmarks"], data["frame_wh"], strict=True
            )
            for where, label, points, (width, height) in every:
                row = rows.get(str(where), rows.get(f"{name}/{where}"))
                if row is None or not np.isfinite(points).all():
                    continue
                pixels = points * np.array([width, height, width])
                # The older convention of MediaPipe: of a picture that is no mirror image, the
                # other hand.
                left = row["mp_handedness_if_mirrored"] == "Right"
                hands.append(mirror(pixels, None) if left else pixels)
                labels.append(str(label))
        count = len(hands)
        nothing = np.zeros(0, "U1")
        yield Exemplars(
            np.array(hands, np.float32),
            np.array(labels),
            np.full(count, name),
            np.arange(count),
            np.zeros((0, 24, 21, 3), np.float32),
            nothing,
            nothing,
        )


def composed(hands: Exemplars, texts: int, rng: np.random.Generator) -> Iterator[tuple[Any, str]]:
    """Clips of one person, and how fast each is: a seventh of them hold each letter for long."""
    speller = Speller(hands)
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
def said() -> Iterator[dict[Token, Token]]:
    """Collects of letters as they are found those as CTC says them."""
    own, kept = letters.letter_times, {}

    def times(tokens: Sequence[Token], *rest: Any) -> tuple[Token, ...]:
        found: tuple[Token, ...] = own(tokens, *rest)
        kept.update(zip(found, tokens, strict=True))
        return found

    letters.letter_times = times
    try:
        yield kept
    finally:
        letters.letter_times = own


def matched(true: Sequence[str], found: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of what is read right, in the truth and in the reading."""
    i = j = 0
    for one, other in edit_pairs(true, found, "unit"):
        if one is not None and one == other:
            yield i, j
        i, j = i + (one is not None), j + (other is not None)


def measure(recognizer: Any, source: Any, true: Sequence[Span], end: float, pace: str) -> Rows:
    """The letters of one source, as said, as found, and those found of some kinds."""
    with said() as kept:
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
        rows.setdefault("as said", []).append((*truth, token.start, token.end))
    return rows


def letters_composed(root: Path, texts: int) -> Rows:
    """By the model of landmarks, of each person too."""
    recognizer, rng = chereme.load("fingerspelling", stream="landmarks"), np.random.default_rng(1)
    rows: Rows = {}
    for number, hands in enumerate(people(root), start=1):
        for clip, pace in composed(hands, texts, rng):
            end = float(clip.track.timestamps[-1])
            found = measure(recognizer, to_landmarks(clip), clip.spans, end, pace)
            add(rows, found)
            add(rows, {f"person {number}": found.get("found", [])})
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
def glosses_of(bundle: Path, clips: Iterator[tuple[Any, Sequence[Span]]]) -> Rows:
    """Tracks with their glosses, read with the CTC head."""
    recognizer = ContinuousRecognizer(load_continuous(bundle), read_with="ctc")
    rows: Rows = {"found": []}
    for tracks, true in clips:
        found = recognizer.recognize(tracks).glosses
        for i, j in matched([span[0] for span in true], [one.gloss for one in found]):
            rows["found"].append((*true[i][1:], found[j].start or 0.0, found[j].end or 0.0))
    return rows


def signing_clips(folder: Path) -> Iterator[tuple[Any, Sequence[Span]]]:
    for sentence in from_manifest(folder / "manifest.csv").split("test"):
        yield sentence_tracks(sentence), [(g.text, g.start, g.end) for g in sentence.glosses]


def boston_clips(root: Path) -> Iterator[tuple[Any, Sequence[Span]]]:
    folder = root / "boston104"
    sentences, tracks = boston104.read(folder).sentences, boston104.read_tracks(folder)
    tested = boston104.folds(sentences)[0]
    for sentence in sentences:
        if sentence.id in tested:
            yield tracks[sentence.id], [(g.text, g.start, g.end) for g in sentence.glosses]


# -- the page --------------------------------------------------------------------------------------
def add(rows: Rows, more: Rows) -> None:
    for kind, some in more.items():
        rows.setdefault(kind, []).extend(some)


def figures(rows: Sequence[Row]) -> str:
    """The cells of a line of the table."""
    true_start, true_end, start, end = np.array(rows).T
    middle = (start + end) / 2
    inside = 100 * np.mean((true_start <= middle) & (middle <= true_end))
    cells = [f"{len(rows):,}"]
    for error in (np.abs(start - true_start), np.abs(end - true_end)):
        cells += [f"{np.median(error):.3f}", f"{np.quantile(error, 0.9):.3f}"]
    share = np.median((end - start) / np.maximum(true_end - true_start, 1e-6))
    return " | ".join([*cells, f"{inside:.1f}", f"{share:.2f}"])


HEAD = """| | n | start | 90 % | end | 90 % | middle inside | length |
|---|---|---|---|---|---|---|---|"""


def sections(given: argparse.Namespace) -> Iterator[tuple[str, Rows]]:
    """The tables that are asked for."""
    yield "Letters, composed of the hands of strangers", letters_composed(given.root, given.texts)
    if given.signing:
        bundle, folder = given.signing
        yield "Glosses, made-up sentences", glosses_of(bundle, signing_clips(folder))
    if given.boston:
        yield "Glosses, RWTH-BOSTON-104", glosses_of(given.boston, boston_clips(given.root))
    for stream in given.streams if given.rendered else ():
        title = f"Letters, rendered videos of strangers, {stream}"
        yield title, letters_rendered(given.rendered, stream)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=100, help="composed of the hands of each")
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--streams", nargs="+", default=STREAMS)
    parser.add_argument("--signing", type=Path, nargs=2, metavar=("BUNDLE", "FOLDER"))
    parser.add_argument("--boston", type=Path, metavar="BUNDLE")
    for title, rows in sections(parser.parse_args()):
        kinds = [kind for kind in KINDS if kind in rows] + sorted(set(rows) - set(KINDS))
        lines = [f"| {kind} | {figures(rows[kind])} |" for kind in kinds if rows[kind]]
        print(f"## {title}\n", HEAD, *lines, "", sep="\n", flush=True)


if __name__ == "__main__":
    main()
