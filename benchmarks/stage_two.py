"""SignX, stage II, on rendered sentences: glosses from video beside those from true tracks.

    python benchmarks/stage_two.py [--run runs/signx/rendered/stage_2]

Tables of ``metrics.json`` and ``readings.json`` of the run; then a bundle of its model reads long
videos, the first sentences of a split after one another, in windows of several lengths. How long a
frame takes says ``speed.py signx``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from jsonargparse import auto_cli
from results import Item, difference, markdown

from chereme.formats.manifests import Item as Sentence
from chereme.formats.manifests import read_manifest
from chereme.formats.tracks import read_tracks
from chereme.metrics import EditCounts, accuracy_interval, pool
from chereme.metrics.translation import gloss_edits
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.systems.signx.sentence_mixing import concat
from chereme.training.export import export
from chereme.types import Frame
from chereme.video import open_video

READERS = {"ctc": "ctc", "decoder": "beam"}  # a model's reader -> its best search in the files
LONG = 70  # sentences of a long video, some 3,000 frames
WINDOWS = (12.0, 8.0, 5.0)  # seconds, of which a third is of the one before, as by default


def kinds(edits: EditCounts) -> str:
    return f"{edits.substitutions}, {edits.deletions}, {edits.insertions}"


def glosses(run: Path) -> None:
    """WER of each split and reader, and how much more it is than on true tracks."""
    rows = json.loads((run / "readings.json").read_text())["sentences"]
    metrics, lines = json.loads((run / "metrics.json").read_text()), []
    for split in ("dev", "test"):
        some = [row for row in rows if row["split"] == split]
        signers = [row["signer"] for row in some]
        for reader, search in READERS.items():
            found: dict[str, dict[str, Item]] = {}
            for way in ("true_tracks", "video"):
                true, read = (
                    [tuple(row[key].split()) for row in some]
                    for key in ("glosses", f"{way}/{search}")
                )
                counts = gloss_edits(true, read)
                found[way] = {
                    row["id"]: Item(row["signer"], one)
                    for row, one in zip(some, counts, strict=True)
                }
            low, high = accuracy_interval(counts, groups=signers)
            more, least, most = difference({0: found["video"]}, {0: found["true_tracks"]})
            bleu = metrics[split]["video"][search]["bleu"]
            lines.append(
                [
                    *(split, reader, f"{pool(counts).error_rate:.1f}"),
                    f"{100 - high:.1f} to {100 - low:.1f}",
                    *(kinds(pool(counts)), f"{bleu[0]:.1f}", f"{bleu[3]:.1f}"),
                    f"{more:+.1f} ({least:+.1f} to {most:+.1f})",
                ]
            )
    head = ("split", "read by", "WER from video", "95 %", "substituted, deleted, inserted")
    print(markdown((*head, "BLEU-1", "BLEU-4", "more than from true tracks"), lines))
    lines = []
    for split in ("dev", "test"):
        errors = metrics[split]["errors"]
        for part in ("pose", "left_hand", "right_hand"):
            parts = [errors[f"mediapipe_{part}_{kind}"] for kind in ("spread", "distance", "pck")]
            lines.append([split, part, *(f"{value:.3g}" for value in parts)])
    head = ("split", "part", "error, in units of the spread", "distance, % of the picture")
    print("\n" + markdown((*head, "within 5 %"), lines))


def film(sentences: Sequence[Sentence], rate: float) -> Iterator[Frame]:
    """The frames of sentences, one after the other, ``rate`` a second."""
    number = count()
    for sentence in sentences:
        assert sentence.video is not None
        with open_video(sentence.video) as video:
            for frame in video:
                yield replace(frame, timestamp=next(number) / rate)


def long_videos(checkpoint: Path, manifest: Path) -> None:
    """WER of a bundle on long videos, by split, window and reader."""
    items, lines = read_manifest(manifest), []
    with tempfile.TemporaryDirectory() as folder:
        bundle = export(checkpoint, folder)
        for split in ("dev", "test"):
            few = [item for item in items if item.split == split][:LONG]
            true = tuple(gloss for item in few for gloss in item.label.split())
            tracks = concat([read_tracks(item.path) for item in few], 0.0)
            frames = list(film(few, tracks.rate))
            for seconds in WINDOWS:
                windows = Windows(seconds, seconds / 3)
                model = replace(bundle, config=replace(bundle.config, windows=windows))
                for reader in bundle.config.readers:
                    recognizer = ContinuousRecognizer(model, read_with=reader)
                    final = [e.tokens for e in recognizer.stream(frames) if e.kind == "final"]
                    read = (recognizer.recognize(tracks).tokens, chain.from_iterable(final))
                    edits = [
                        pool(gloss_edits([true], [tuple(token.text for token in one)]))
                        for one in read
                    ]
                    rates = [f"{one.error_rate:.1f} ({kinds(one)})" for one in edits]
                    lines.append([split, f"{seconds:g} s", reader, *rates])
    print("\n" + markdown(("split", "window", "read by", "true tracks", "video"), lines))


def main(run: Path = Path("runs/signx/rendered/stage_2")) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    glosses(run)
    long_videos(run / metrics["scored"], Path(metrics["data"]["root"]) / "manifest.csv")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
