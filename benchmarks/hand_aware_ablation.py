"""System B on rendered signs of unseen signers: its losses, its partners, their fusion.

    python benchmarks/hand_aware_ablation.py [--seeds 3] [--epochs 16] [--threads 1] [--rgb] [--sgd]

makes the data where it is not (runs/hand_aware/signs, and with --rgb frames), trains each row with
each seed for as many steps on the same batches into runs/hand_aware/here/<row>/seed_K, and writes
docs/results_hand_aware.md. A row that is finished is not run again, one that was cut off goes on.
``--report`` only writes the page of what there is.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chereme.datasets.clips import CropSettings
from chereme.metrics import top_k
from chereme.metrics.bootstrap import percentiles
from chereme.synthesis.filmed_signs import FilmedSigns, ambiguous, known
from chereme.synthesis.shards import write_clips
from chereme.systems.hand_aware.data import SignData, SignInputs
from chereme.systems.hand_aware.presets import preset
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer, late_fusion
from chereme.systems.hand_aware.task import load_hand_aware
from chereme.training.cli import main as train
from chereme.training.isolated_scoring import (
    Predictions,
    Reprojection,
    places_of,
    score_reprojection,
)

RUNS = Path("runs/hand_aware")
CONFIGS = "configs/hand_aware"
PAGE = Path("docs/results_hand_aware.md")
STORED, CROP, FRAME = 64, 48, 96  # pixels: crops as stored and as read, and whole frames
SIGNS = FilmedSigns(792, glosses=6, pairs=3, signers=22, held_out=4, seed=1)
CHECKS = 2  # of the split dev in a run
# Of the printed losses, summed over the frames of a clip, 0.1 weighs as much as this does of means
# over the frames of a clip of ten; l_tem, which has another unit here, keeps 0.1.
SPA_WEIGHT = 1.0
PARTNER = 0.5  # of the epochs: an ST-GCN on joints needs fewer than a ResNet on pictures
SIZES = {
    "rgb.depths": "[1,1,1,1]",
    "rgb.widths": "[16,32,64,128]",
    "rgb.image_size": str(CROP),
}
GRAPH = {
    "graph.channels": "[32,64,64]",
    "graph.strides": "[1,2,1]",
    "graph.kernel": "5",
    "graph.dropout": "0.2",
    "graph.normalisation": "column",
    "distances": "bfs",
}


@dataclass(frozen=True)
class Row:
    """A row of a table. ``paper``: top-1, top-2 and top-5 on NMFs-CSL; ``share``: of the epochs."""

    name: str
    label: str
    paper: tuple[float, float, float]
    configs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    data: str = "signs"
    share: float = 1.0


def _hand(name: str, label: str, paper: tuple[float, float, float]) -> Row:
    settings = [f"config.{key}={value}" for key, value in {**SIZES, **GRAPH}.items()]
    if "spa" in name:
        settings.append(f"losses.spa_weight={SPA_WEIGHT}")
    return Row(name, label, paper, ("ours.yaml", f"table_1/{name}.yaml"), tuple(settings))


def _partner(
    name: str, label: str, paper: tuple[float, float, float], *own: str, data: str = "signs"
) -> Row:
    ours = ("plateau=null", "optimiser.name=adamw", "optimiser.learning_rate=0.002")
    return Row(name, label, paper, (f"table_2/{name}.yaml",), (*ours, *own), data, PARTNER)


_GRAPH = tuple(f"config.{key}={value}" for key, value in GRAPH.items())
LOSSES = (
    _hand("cla", "l_cla", (61.5, 80.3, 90.8)),
    _hand("cla_reg", "+ l_reg", (62.0, 78.8, 88.9)),
    _hand("cla_reg_spa", "+ l_spa", (64.0, 81.6, 90.7)),
    _hand("cla_reg_spa_tem", "+ l_tem: hand", (64.7, 81.8, 91.0)),
)
HAND = LOSSES[-1]
# As the paper trains: the rate of SGD falls when dev gets no better, which so few looks never say.
SGD = Row(
    "sgd",
    "the same with the paper's SGD",
    HAND.paper,
    HAND.configs,
    (*HAND.settings, "plateau.learning_rate=0.005"),
)
DETECTED = _partner(
    "hand_keypoints", "detected hand joints", (54.6, 72.2, 85.2), "config.hands=1", *_GRAPH
)
KEYPOINTS = _partner("keypoints", "full keypoints", (59.9, 71.3, 83.7), *_GRAPH)
RGB = _partner(
    "rgb",
    "full RGB",
    (62.1, 73.2, 83.7),
    "config.resnet.kind=pseudo",
    "config.resnet.depths=[1,1,1,1]",
    "config.resnet.widths=[8,16,32,64]",
    f"size={STORED}",
    data="frames",
)
# Fusions, and what the paper has of them.
FUSIONS: tuple[tuple[Row, Row, tuple[float, float, float]], ...] = (
    (DETECTED, KEYPOINTS, (67.3, 83.0, 93.0)),
    (HAND, KEYPOINTS, (71.7, 88.6, 95.7)),
    (DETECTED, RGB, (71.7, 84.3, 92.3)),
    (HAND, RGB, (75.6, 88.4, 95.3)),
)


# -- data and runs ---------------------------------------------------------------------------------
def make(view: str, workers: int) -> None:
    """The clips, where they are not there yet."""
    folder = RUNS / ("signs" if view == "hands" else "frames")
    size = STORED if view == "hands" else FRAME
    values = {**vars(SIGNS), "view": view, "settings": CropSettings(size=size)}
    maker = FilmedSigns(**{k: v for k, v in values.items() if not k.startswith("_")})
    began = time.monotonic()

    def said(done: int, of: int) -> None:
        if done % 50 == 0:
            print(f"{folder}: {done} of {of} clips, {time.monotonic() - began:.0f} s", flush=True)

    write_clips(maker, folder, known(), workers=workers, progress=said)


def output(row: Row, seed: int) -> Path:
    """Where a run writes."""
    return RUNS / "here" / row.name / f"seed_{seed}"


def arguments(row: Row, seed: int, epochs: int) -> list[str]:
    """Of ``chereme train``."""
    folder, epochs = output(row, seed), round(epochs * row.share)
    return [
        *(f"--config={CONFIGS}/{name}" for name in row.configs),
        *(f"--model.init_args.{setting}" for setting in row.settings),
        f"--data.init_args.shards=[{RUNS / row.data}]",
        "--data.init_args.frames=8",
        "--data.init_args.batch_size=8",
        "--data.init_args.workers=0",
        "--data.init_args.augmentation={flip: 0.0, tempo: 0.0, crop: 0.85, rotation: 10.0, "
        "colour: 0.2, blur: 0.0, noise: 0.0, erase: 0.0}",
        f"--data.init_args.seed={seed}",
        f"--seed_everything={seed}",
        f"--output={folder}",
        f"--trainer.max_epochs={epochs}",
        f"--trainer.check_val_every_n_epoch={max(1, epochs // CHECKS)}",
        "--trainer.precision=32-true",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.num_sanity_val_steps=0",
    ]


def run(rows: Sequence[Row], seeds: int, epochs: int) -> None:
    """All rows with one seed after the other, so that what there is can be compared."""
    for seed in range(1, seeds + 1):
        for row in rows:
            folder = output(row, seed)
            if (folder / "metrics.json").exists():
                continue
            began, last = time.monotonic(), folder / "last.ckpt"
            resume = [f"--resume={last}"] if last.exists() else []
            train([*arguments(row, seed, epochs), *resume])
            took = time.monotonic() - began
            found = metrics(row, seed)["test"]
            print(f"{folder}: {took:.0f} s, {json.dumps(found)}", flush=True)


# -- figures ---------------------------------------------------------------------------------------
def metrics(row: Row, seed: int) -> dict[str, Any]:
    """``metrics.json`` of a run."""
    found: dict[str, Any] = json.loads((output(row, seed) / "metrics.json").read_text())
    return found


def done(row: Row, seeds: int) -> list[int]:
    """The seeds with which a row is finished."""
    return [s for s in range(1, seeds + 1) if (output(row, s) / "metrics.json").exists()]


def said(rows: Sequence[Row], seed: int) -> Predictions:
    """The predictions of a row for test, or the sum of those of several."""
    each = [Predictions.load(output(row, seed) / "test.npz") for row in rows]
    first = each[0]
    if len(each) == 1:
        return first
    if any(one[:3] != first[:3] for one in each):
        raise SystemExit(f"{[row.name for row in rows]}: expected predictions of the same clips")
    fused = late_fusion(*(torch.from_numpy(one.logits) for one in each))
    return first._replace(logits=fused.numpy())


def accuracies(what: Predictions) -> dict[str, float]:
    """Top-k of all clips, and top-1 of those that crops can tell apart, and of the others."""
    places = places_of(what.logits, what.labels, what.classes)
    hard = np.array([ambiguous(label) for label in what.labels])
    found = {f"top{k}": top_k(places, what.labels, k).per_instance for k in (1, 2, 5)}
    found["class"] = top_k(places, what.labels, 1).per_class
    found["plain"] = 100 * float((places[~hard] == 1).mean())
    found["ambiguous"] = 100 * float((places[hard] == 1).mean())
    return found


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± standard deviation."""
    if not values:
        return "not run"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def gain(before: Sequence[Row], after: Sequence[Row], seeds: Sequence[int]) -> str:
    """Points of top-1 that ``after`` is better, with a 95 % bootstrap over the clips."""
    if not seeds:
        return "not run"
    right = []
    for rows in (before, after):
        each = [said(rows, seed) for seed in seeds]
        right.append([places_of(e.logits, e.labels, e.classes) == 1 for e in each])
    # Of a clip, all seeds together: they are not independent of each other.
    difference = 100 * (np.mean(right[1], axis=0) - np.mean(right[0], axis=0))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(difference), (2000, len(difference)))
    low, high = percentiles(difference[drawn].mean(axis=1), 0.95)
    return f"{difference.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def references() -> dict[str, dict[str, Any] | None]:
    """Errors of what the network is told, and of the hand that training begins with."""
    data = SignData([str(RUNS / "signs")], frames=8)
    data.inputs = SignInputs(size=CROP)
    data.setup()
    begins = HandAwareRecognizer(HandAwareConfig(hands=1)).eval()
    told, start = [], []
    for batch in data.whole("test"):
        truth = batch.truth[batch.present].numpy()
        sure = (batch.confidence[batch.present] >= 0.4).numpy()
        told.append(Reprojection.of(batch.landmarks[batch.present].numpy(), truth))
        for error in told[-1][:2]:
            error[~sure[:, -error.shape[1] :]] = np.nan
        with torch.no_grad():
            nothing = torch.zeros(len(truth), 3, 8, 8)
            state = begins.encoder(nothing, torch.zeros(len(truth), dtype=torch.bool))
            start.append(Reprojection.of(begins.decoder(state).projected.numpy(), truth))
    return {"told": score_reprojection(told, CROP), "start": score_reprojection(start, CROP)}


def speed(threads: int) -> list[str]:
    """Milliseconds a frame of whole networks, one clip of 8 frames at a time."""
    lines = []
    best = output(HAND, 1) / "best.ckpt"
    configs = {"as in the tables": load_hand_aware(best).model.config if best.exists() else None}
    configs |= {"preset small": preset("small"), "preset paper": preset("paper")}
    for name, config in configs.items():
        if config is None:
            continue
        assert isinstance(config, HandAwareConfig)
        network, size = HandAwareRecognizer(config).eval(), config.rgb.image_size
        crops = torch.rand(1, config.hands, 8, 3, size, size)
        times = []
        with torch.no_grad():
            for _ in range(4):
                began = time.perf_counter()
                network(crops)
                times.append(time.perf_counter() - began)
        ms = 1e3 * min(times[1:]) / 8
        weights = sum(p.numel() for p in network.parameters()) / 1e6
        hands = "one hand" if config.hands == 1 else "both hands"
        lines.append(f"| {name}: crops of {size} pixels, {hands} | {weights:.1f} M | {ms:.2f} |")
        print(f"speed, {name}: {ms:.2f} ms a frame, {threads} threads", flush=True)
    return lines


# -- the page --------------------------------------------------------------------------------------
def page(seeds: int, threads: int) -> str:
    """All tables."""
    finished = [row for row in LOSSES if done(row, seeds)]
    about = metrics(finished[0], done(finished[0], seeds)[0])
    test = about["test"]
    one = said([finished[0]], done(finished[0], seeds)[0])
    hard = sum(ambiguous(label) for label in one.labels)
    near = references()
    lines = [
        "# Results of system B",
        "",
        "Made by `python benchmarks/hand_aware_ablation.py`. The paper is *Hand-Model-Aware Sign "
        "Language Recognition* (see [its page](papers/hand_model_aware.md)); its figures are of "
        "NMFs-CSL (1,067 glosses), which has to be asked for from its owners. **Ours are of "
        "rendered signs**, so that the truth about joints is known: the order of rows can be "
        "compared with the paper's, the figures not.",
        "",
        f"{about['glosses']} glosses, of which {len({g for g in one.labels if ambiguous(g)})} are "
        "pairs that differ only in where the hand is relative to the body: crops of the hand do "
        "not tell these apart, so that who reads nothing else is right about half of them. "
        f"Trained on {about['training_clips']} clips of {about['training_signers']} signers, "
        f"tested on {test['clips']} clips ({hard} of them ambiguous) of {test['signers']} signers "
        "who are in no other split. Crops of the one hand that signs, "
        f"{CROP} pixels wide; {about['frames']} frames a clip; a ResNet of four blocks from random "
        f"weights; {about['steps']} steps of {about['batch_size']} clips with AdamW; the weights "
        "with the best top-1 on dev, looked at twice; rows of keypoints half as many steps. "
        "Mean ± deviation over the seeds. "
        f"{platform.machine()} CPU, {threads} thread.",
        "",
        "## Table 1: the losses",
        "",
        "| loss | paper, top-1 / 2 / 5 | seeds | top-1 | top-2 | top-5 | top-1 a class | "
        "where crops suffice | ambiguous | more than the row before |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for before, row in zip((None, *LOSSES), LOSSES, strict=False):
        both = [] if before is None else sorted({*done(row, seeds)} & {*done(before, seeds)})
        more = "" if before is None else gain([before], [row], both)
        lines.append(_line(row.label, row.paper, [row], done(row, seeds)) + f" {more} |")
    lines.append(_line(SGD.label, SGD.paper, [SGD], done(SGD, seeds)) + " |")
    both = sorted({*done(LOSSES[0], seeds)} & {*done(HAND, seeds)})
    lines += [
        "",
        "Top-1 in per cent, a clip; “more”: points, all seeds together, and a 95 % bootstrap over "
        f"the clips. All four losses against l_cla alone: {gain([LOSSES[0]], [HAND], both)}. "
        f"`l_spa` weighs {SPA_WEIGHT:g} of a mean over frames, which is what the printed 0.1 of a "
        "sum over the frames of a clip is for ten of them. The encoder begins with random weights "
        "and is trained for minutes: no row has come to its end. The intervals know of no other "
        "signers than those of the split.",
        "",
        "Joints of the reconstructed hands against the true ones, in the picture: mean distance in "
        f"pixels of the crop of {CROP}, and in palm lengths; “relative”: from the wrist on.",
        "",
        "| loss | joints | pixels | palms | relative, pixels | relative, palms |",
        "|---|---|---|---|---|---|",
    ]
    for row in (*LOSSES, SGD):
        errors = [metrics(row, seed)["test"]["reprojection"] for seed in done(row, seeds)]
        lines.append(_errors(row.label, errors))
    lines.append(_errors("the hand that training begins with", [near["start"]]))
    lines.append(
        _errors("the detected joints that l_spa is told, confidence ≥ 0.4", [near["told"]])
    )
    lines += [
        "",
        "## Table 2: hands and the full frame",
        "",
        "“Detected hand joints” are those that `l_spa` is told, read by the same ST-GCN; “full "
        "keypoints” are of body and hands, by a detector that errs as much. Fusion sums "
        "probabilities. The paper's detector is worse than its hands; this one, made up, errs "
        "little, and its joints are read better than those of a ResNet that learned for minutes.",
        "",
        "| | paper, top-1 / 2 / 5 | seeds | top-1 | top-2 | top-5 | top-1 a class | "
        "where crops suffice | ambiguous | more than the hand |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in (DETECTED, HAND, KEYPOINTS, RGB):
        label = row.label.split(": ")[-1]
        lines.append(_line(label, row.paper, [row], done(row, seeds)) + " |")
    for hand, frame, paper in FUSIONS:
        both = sorted({*done(hand, seeds)} & {*done(frame, seeds)})
        label = f"{hand.label.split(': ')[-1]} + {frame.label}"
        more = gain([hand], [hand, frame], both)
        lines.append(_line(label, paper, [hand, frame], both) + f" {more} |")
    lines += [
        "",
        "## Speed",
        "",
        f"Whole network, a clip of 8 frames at a time, {threads} thread, full precision.",
        "",
        "| network | weights | ms a frame |",
        "|---|---|---|",
        *speed(threads),
        "",
        "## How",
        "",
        "    python benchmarks/hand_aware_ablation.py --seeds "
        f"{seeds} --epochs {about['epochs']} --threads {threads}"
        + (" --sgd" if done(SGD, seeds) else ""),
        "",
        "which trains a row as",
        "",
        "    chereme train \\",
        *(f"      {_quoted(one)} \\" for one in arguments(HAND, 1, about["epochs"])[:-1]),
        f"      {_quoted(arguments(HAND, 1, about['epochs'])[-1])}",
        "",
    ]
    return "\n".join(lines)


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word or "[" in word else word


def _line(label: str, paper: Sequence[float], rows: Sequence[Row], seeds: Sequence[int]) -> str:
    each = [accuracies(said(rows, seed)) for seed in seeds]
    cells = [label, " / ".join(f"{value:.1f}" for value in paper), str(len(seeds))]
    for key in ("top1", "top2", "top5", "class", "plain", "ambiguous"):
        cells.append(spread([one[key] for one in each]))
    return f"| {' | '.join(cells)} |"


def _errors(label: str, found: Sequence[dict[str, Any] | None]) -> str:
    errors = [one for one in found if one is not None]
    cells = [label, f"{errors[0]['joints']:,}" if errors else ""]
    for key, digits in (("pixels", 2), ("palms", 3), ("pixels_relative", 2), ("palms_relative", 3)):
        cells.append(spread([one[key] for one in errors], digits))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rgb", action="store_true", help="the rows of full RGB too")
    parser.add_argument("--sgd", action="store_true", help="the row of the paper's optimiser too")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.report:
        make("hands", options.threads)
        rows = [*LOSSES, DETECTED, KEYPOINTS, *([SGD] if options.sgd else [])]
        if options.rgb:
            make("frame", options.threads)
            rows.append(RGB)
        run(rows, options.seeds, options.epochs)
    PAGE.write_text(page(options.seeds, options.threads), encoding="utf-8")


if __name__ == "__main__":
    main()
