"""SignX, stage II, on rendered sentences: docs/results_signx_video.md from runs/signx/rendered.

    python benchmarks/stage_two.py [--runs runs/signx/rendered]
        [--output docs/results_signx_video.md] [--threads 1]

reads ``metrics.json`` and ``readings.json`` of the runs ``stage_1`` and ``stage_2`` there, measures
the time per frame, and has a bundle of the model read long videos, which are sentences of the
corpus after one another. What is written by hand under "In words" stays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch

from chereme.formats.manifests import Item, read_manifest
from chereme.formats.tracks import read_tracks
from chereme.metrics import accuracy_interval, pool
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.metrics.translation import gloss_edits
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.systems.signx.sentence_mixing import joined
from chereme.systems.signx.video_task import load_video2gloss
from chereme.training.export import export
from chereme.types import Frame
from chereme.video import open_video

WAYS = {"true_tracks": "true tracks", "video": "video, by Video2Pose"}
READ_BY = {"ctc": "CTC", "beam": "the decoder"}
WRITTEN = {"ctc": "ctc", "decoder": "beam"}  # a model's reader -> its best search in the files
REMARKS = "## In words"
ALLOWED = 5.0  # points of WER
CLIPS, FRAMES = 3, 48
LONG = 70  # sentences of a long video, some 3,000 frames
WINDOWS = (12.0, 8.0, 5.0)  # seconds, of which a third is of the one before, as by default
Words = tuple[str, ...]
Reading = dict[str, str]  # a sentence of readings.json


def difference(rows: Sequence[Reading], name: str) -> tuple[float, float, float]:
    """WER on tracks of the video less that on true tracks, in points, and a 95 % bootstrap over
    signers; the same ones are drawn for both."""
    true = [tuple(row["glosses"].split()) for row in rows]
    counts = {
        way: gloss_edits(true, [tuple(row[f"{way}/{name}"].split()) for row in rows])
        for way in WAYS
    }
    pooled = {way: pool(own).error_rate for way, own in counts.items()}
    amounts = torch.tensor(
        [
            [video.edits - tracks.edits, tracks.reference_length]
            for video, tracks in zip(counts["video"], counts["true_tracks"], strict=True)
        ],
        dtype=torch.double,
    ).numpy()
    more, glosses = resampled_totals(amounts, groups=[row["signer"] for row in rows])
    low, high = percentiles(100 * more / glosses, 0.95)
    return pooled["video"] - pooled["true_tracks"], low, high


def table(metrics: dict[str, Any], readings: Sequence[Reading]) -> list[str]:
    """A row for each split, way of reading and kind of tracks."""
    lines = [
        "| split | read by | tracks | WER | 95 % | substituted, deleted, inserted | BLEU-1 "
        "| BLEU-4 | WER more than on true tracks | 95 % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for split in ("dev", "test"):
        rows = [row for row in readings if row["split"] == split]
        true = [tuple(row["glosses"].split()) for row in rows]
        for name, reader in READ_BY.items():
            for way, label in WAYS.items():
                found = metrics[split][way][name]
                read = [tuple(row[f"{way}/{name}"].split()) for row in rows]
                counts = gloss_edits(true, read)
                low, high = accuracy_interval(counts, groups=[row["signer"] for row in rows])
                more, least, most = difference(rows, name)
                edits = (found[kind] for kind in ("substitutions", "deletions", "insertions"))
                cells = [
                    split,
                    reader,
                    label,
                    f"{found['wer']:.1f}",
                    f"{100 - high:.1f} to {100 - low:.1f}",
                    ", ".join(str(count) for count in edits),
                    f"{found['bleu'][0]:.1f}",
                    f"{found['bleu'][3]:.1f}",
                    *(
                        (f"{more:+.1f}", f"{least:+.1f} to {most:+.1f}")
                        if way == "video"
                        else ("", "")
                    ),
                ]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def errors(metrics: dict[str, Any]) -> list[str]:
    """How far the predicted tracks are from the true ones."""
    lines = [
        "| split | part of the track | error, in units of the spread | mean distance, % of the "
        "picture | within 5 % of the picture |",
        "| --- | --- | --- | --- | --- |",
    ]
    for split in ("dev", "test"):
        found = metrics[split]["errors"]
        for part in ("pose", "left_hand", "right_hand"):
            key = f"mediapipe_{part}"
            lines.append(
                f"| {split} | {part.replace('_', ' ')} | {found[f'{key}_spread']:.3f} | "
                f"{found[f'{key}_distance']:.2f} | {found[f'{key}_pck']:.1f} % |"
            )
    return lines


def milliseconds(checkpoint: Path) -> tuple[float, float]:
    """Of a frame: Video2Pose, and Pose2Gloss with the CTC head."""
    model, _, _ = load_video2gloss(checkpoint)
    size = model.video2pose.config.vit.image_size
    frames = torch.rand(1, FRAMES, 3, size, size)
    seen, read = [], []
    with torch.inference_mode():
        for _ in range(CLIPS + 1):
            start = time.perf_counter()
            tracks = model(frames)
            middle = time.perf_counter()
            present = {name: torch.ones(1, FRAMES, dtype=torch.bool) for name in tracks}
            model.pose2gloss.ctc_log_probs(tracks, present)
            seen.append(middle - start)
            read.append(time.perf_counter() - middle)
    # The first is slower than all others.
    return 1000 * min(seen[1:]) / FRAMES, 1000 * min(read[1:]) / FRAMES


def long_video(sentences: Sequence[Item], rate: float) -> Iterator[Frame]:
    """The frames of sentences, one after the other, ``rate`` a second."""
    number = count()
    for sentence in sentences:
        assert sentence.video is not None
        with open_video(sentence.video) as video:
            for frame in video:
                yield replace(frame, timestamp=next(number) / rate)


def long_videos(checkpoint: Path, manifest: Path) -> list[str]:
    """What a bundle of the model reads of a long video, in windows of several lengths."""
    lines = [
        "| split | window | tracks | read by | WER | substituted, deleted, inserted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    items = read_manifest(manifest)
    with tempfile.TemporaryDirectory() as folder:
        bundle = export(checkpoint, folder)
        config = bundle.config
        for split in ("dev", "test"):
            few = [item for item in items if item.split == split][:LONG]
            true = tuple(gloss for item in few for gloss in item.label.split())
            tracks = joined([read_tracks(item.path) for item in few], 0.0)
            frames = list(long_video(few, tracks.rate))
            for seconds in WINDOWS:
                model = replace(
                    bundle, config=replace(config, windows=Windows(seconds, seconds / 3))
                )
                for reader in config.readers:
                    recognizer = ContinuousRecognizer(model, read_with=reader)
                    events = recognizer.stream(frames)
                    final = [event.glosses for event in events if event.kind == "final"]
                    read = {
                        "true_tracks": recognizer.recognize(tracks).glosses,
                        "video": chain.from_iterable(final),
                    }
                    for way, glosses in read.items():
                        edits = pool(gloss_edits([true], [tuple(one.gloss for one in glosses)]))
                        counts = (edits.substitutions, edits.deletions, edits.insertions)
                        cells = [
                            split,
                            f"{seconds:g} s",
                            WAYS[way],
                            READ_BY[WRITTEN[reader]],
                            f"{edits.error_rate:.1f}",
                            ", ".join(str(one) for one in counts),
                        ]
                        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(runs: Path, threads: int, remarks: str) -> str:
    stage_1 = json.loads((runs / "stage_1" / "metrics.json").read_text())
    metrics = json.loads((runs / "stage_2" / "metrics.json").read_text())
    rows = json.loads((runs / "stage_2" / "readings.json").read_text())["sentences"]
    read_by = WRITTEN[metrics["read_with"]]
    more, low, high = difference([row for row in rows if row["split"] == "test"], read_by)
    torch.set_num_threads(threads)
    checkpoint = runs / "stage_2" / metrics["scored"]
    manifest = Path(metrics["data"]["root"]) / "manifest.csv"
    seeing, reading = milliseconds(checkpoint)
    clips = metrics["training_sentences"] + sum(metrics[s]["sentences"] for s in ("dev", "test"))
    test = metrics["test"]
    lines = [
        "# SignX, stage II: glosses from video",
        "",
        "Made by `python benchmarks/stage_two.py` from `metrics.json` and `readings.json` of the "
        "runs. The signs,",
        "their grammar, the signers and their pictures are made up: **figures can be compared with "
        "each other, not",
        "with those of any sign language.**",
        "",
        f"    chereme prepare signing -o data/signing --clips {clips} --seed 1 --workers 2",
        "    chereme train --config configs/signx/rendered.yaml",
        "    chereme train --config configs/signx/rendered_video.yaml",
        "    python benchmarks/stage_two.py",
        "",
        f"- Data: {clips:,} sentences of 2 to 6 of 24 signs, 96 x 96 pixels, 12.5 frames a second, "
        "and their true",
        f"  tracks. {metrics['training_sentences']:,} sentences "
        f"({metrics['training_frames']:,} frames) are trained on. Dev and test are sentences and "
        "signers that",
        f"  training has not: {metrics['dev']['sentences']} of {metrics['dev']['signers']} "
        f"signers, and {test['sentences']} ({test['true_tracks'][read_by]['glosses']} glosses) of "
        f"{test['signers']}. All was chosen on dev.",
        f"- Stage I: Pose2Gloss on true tracks, {stage_1['parameters']:,} parameters, "
        f"{stage_1['epochs']} epochs.",
        f"- Stage II: Video2Pose from random weights, {metrics['parameters']:,} parameters, "
        f"{metrics['steps']:,} steps of {metrics['batch_frames']} frames.",
        "  Pose2Gloss stays as it is.",
        f"- Machine: {metrics['device']}.",
        '- In brackets and under "95 %": bootstraps over signers. "More than on true tracks": '
        "the same",
        "  sentences, the same signers drawn for both.",
        "",
        f"**On test, read by {READ_BY[read_by]}, WER through Video2Pose is {more:.1f} points "
        f"({low:.1f} to {high:.1f}) above that on true",
        f"tracks; {ALLOWED:g} are allowed.**",
        "",
        "## Glosses",
        "",
        *table(metrics, rows),
        "",
        "## Tracks",
        "",
        *errors(metrics),
        "",
        "## Long video",
        "",
        f"The first {LONG} sentences of a split, one after the other, read by a bundle of the "
        "model in windows. Where the",
        "decoder and the CTC head disagree, it takes what both find likelier.",
        "",
        *long_videos(checkpoint, manifest),
        "",
        "## Time",
        "",
        f"Of a frame, {threads} thread{'s' if threads > 1 else ''}, PyTorch, clips of {FRAMES} "
        f"frames: Video2Pose {seeing:.1f} ms, Pose2Gloss with its CTC head {reading:.2f} ms.",
        "",
    ]
    return "\n".join(lines) + remarks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/signx/rendered"))
    parser.add_argument("--output", type=Path, default=Path("docs/results_signx_video.md"))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    before = given.output.read_text() if given.output.exists() else ""
    _, found, after = before.partition(REMARKS)
    given.output.write_text(page(given.runs, given.threads, f"\n{found}{after}" if found else ""))


if __name__ == "__main__":
    main()
