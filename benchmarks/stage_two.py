"""SignX, stage II, on long videos: the first sentences of a split, one after another.

    python benchmarks/stage_two.py runs/signx/rendered/stage_2

A bundle of the run's model reads them in windows of several lengths, from true tracks and from
video. Single sentences are in the tables of ``run.py signx_video rendered``, and ``speed.py signx``
says how long a frame takes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from jsonargparse import auto_cli
from results import markdown

from chereme.formats.manifests import Item, read_manifest
from chereme.formats.tracks import read_tracks
from chereme.metrics.translation import gloss_edits
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.systems.signx.sentence_mixing import concat
from chereme.training.export import export
from chereme.types import Frame
from chereme.video import open_video

LONG = 70  # sentences of a long video, some 3,000 frames
WINDOWS = (12.0, 8.0, 5.0)  # seconds, of which a third is of the one before, as by default


def film(sentences: Sequence[Item], rate: float) -> Iterator[Frame]:
    """The frames of sentences, one after the other, ``rate`` a second."""
    number = count()
    for sentence in sentences:
        assert sentence.video is not None
        with open_video(sentence.video) as video:
            for frame in video:
                yield replace(frame, timestamp=next(number) / rate)


def main(run: Path) -> None:
    """WER of a bundle, by split, window and reader."""
    metrics = json.loads((run / "metrics.json").read_text())
    items, lines = read_manifest(Path(metrics["data"]["root"]) / "manifest.csv"), []
    with tempfile.TemporaryDirectory() as folder:
        bundle = export(run / metrics["scored"], folder)
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
                    words = (tuple(token.text for token in tokens) for tokens in read)
                    rates = [gloss_edits([true], [one])[0].error_rate for one in words]
                    lines.append([split, f"{seconds:g} s", reader, *(f"{r:.1f}" for r in rates)])
    print(markdown(("split", "window", "read by", "true tracks", "video"), lines))


if __name__ == "__main__":
    auto_cli(main)
