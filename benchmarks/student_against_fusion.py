"""Time of a frame: the RGB-only distilled student against the two-stream late fusion it replaces.

    python benchmarks/student_against_fusion.py [--threads 2] [--frames 16] [--json FILE]

Late fusion reads each crop twice: the RGB stream, and HaMeR (ViT-H and transformer head), whose
vector the pose stream reads. The student is the RGB stream alone: its projections are left out of
the exported networks, so it costs what RGB-only costs. Finding the hand comes first in both and is
counted apart. Weights and crops are random, as times depend on neither.

All parts run in one process, in turn, repetition after repetition, bound to as many processors as
threads. 'ms' is the median time of a frame; 'core ms' that of processor time, which holds also
where other work shares the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from chereme.hands.detector import MediaPipeDetector
from chereme.recognition.bundle import ENCODER, SEQUENCE, open_network
from chereme.recognition.crops import BLOCK
from chereme.recognition.profiling import enlarged_example
from chereme.systems.fingerspelling.export import onnx_networks
from chereme.systems.fingerspelling.presets import preset, table_2
from chereme.systems.fingerspelling.recognizer import FingerspellingRecognizer
from chereme.teachers.hamer import Hamer, HamerTeacher
from chereme.training.compression import int8_encoder

RATE = 30.0
DETECTION = "hand detection (MediaPipe)"
HAMER = {"float32": "HaMeR, float32", "bfloat16": "HaMeR, bfloat16"}
POSE = "pose stream, sequence network"
STUDENT = "paper, 256 px"


class Work(NamedTuple):
    """Something to time: ``run`` takes all of ``frames`` at once."""

    frames: int
    run: Callable[[], object]


class Time(NamedTuple):
    """Milliseconds of a frame: of the clock, and of all processors together."""

    wall: float
    core: float


def measured(works: Mapping[str, Work], repeats: int) -> dict[str, Time]:
    """Medians of ``repeats`` rounds in which the works take turns, after one to warm up."""
    samples: dict[str, list[Time]] = {name: [] for name in works}
    for number in range(repeats + 1):
        for name, work in works.items():
            wall, core = time.perf_counter(), time.process_time()
            work.run()
            spent = time.perf_counter() - wall, time.process_time() - core
            if number:
                samples[name].append(Time(*(1e3 * seconds / work.frames for seconds in spent)))
    return {
        name: Time(*(statistics.median(column) for column in zip(*times, strict=True)))
        for name, times in samples.items()
    }


# -- what is timed --------------------------------------------------------------------------------
def detection(frames: int) -> Work:
    """Following the hand of a 720p video."""
    pictures = list(enlarged_example(frames))
    detector = MediaPipeDetector()

    def run() -> None:
        detector.reset()
        for number, picture in enumerate(pictures):
            detector.detect(picture, number / RATE)

    return Work(frames, run)


def rgb_stream(name: str, frames: int, threads: int) -> dict[str, Work]:
    """The RGB recogniser of a preset as its bundle runs it, encoder in float32 and in int8."""
    model = FingerspellingRecognizer(preset(name)).eval()
    side = model.config.rgb.image_size
    networks = onnx_networks(model)
    crops = np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), np.uint8)
    sequence = open_network(networks[SEQUENCE], Path(SEQUENCE), threads)
    found = {}
    kinds = {
        "float32": networks[ENCODER],
        "int8": int8_encoder(networks[ENCODER], [crops[:BLOCK]]),
    }
    for kind, network in kinds.items():
        encoder = open_network(network, Path(ENCODER), threads)

        def run(encoder: Any = encoder) -> None:
            inputs = crops.transpose(0, 3, 1, 2)
            blocks = [
                encoder.run(None, {"frames": inputs[start : start + BLOCK]})[0]
                for start in range(0, frames, BLOCK)
            ]
            sequence.run(None, {"features": np.concatenate(blocks)[None]})

        found[f"{name}, {side} px, {kind}"] = Work(frames, run)
    return found


def pose_stream(frames: int, threads: int) -> Work:
    """The sequence network on vectors of HaMeR, which go into it as they are."""
    config = table_2(preset("paper"))["pose_transformer"].config
    assert config is not None
    networks = onnx_networks(FingerspellingRecognizer(config).eval())
    sequence = open_network(networks[SEQUENCE], Path(SEQUENCE), threads)
    vectors = np.random.default_rng(0).normal(size=(1, frames, config.pose.dim))
    return Work(frames, lambda: sequence.run(None, {"features": vectors.astype(np.float32)}))


def hamer(frames: int) -> dict[str, Work]:
    """HaMeR without MANO on ``frames`` crops at once."""
    crops = np.random.default_rng(0).integers(0, 256, (frames, 256, 256, 3), np.uint8)
    found = {}
    for kind, name in HAMER.items():
        with torch.device("meta"):
            model = Hamer()
        model = model.to(getattr(torch, kind)).to_empty(device="cpu")
        for tensor in model.state_dict().values():
            tensor.normal_(std=0.02)
        teacher = HamerTeacher(model, batch_size=frames)
        found[name] = Work(frames, partial(teacher.embed, crops))
    return found


# -- the table ------------------------------------------------------------------------------------
def lines(times: Mapping[str, Time]) -> list[dict[str, Any]]:
    """Rows of the table: the parts, then late fusion with its ratios to each student.

    ``ratio``: to late fusion with HaMeR in the quicker of both precisions and a float32 ResNet.
    """
    quickest = min(HAMER.values(), key=lambda name: times[name].wall)
    parts = [times[name] for name in (f"{STUDENT}, float32", quickest, POSE)]
    fused = Time(sum(part.wall for part in parts), sum(part.core for part in parts))
    rows = [("counted apart", DETECTION, times[DETECTION])]
    streams = (name for name in times if "px" in name)
    rows += [("student, or RGB stream", name, times[name]) for name in streams]
    rows += [("late fusion, part", name, times[name]) for name in (*HAMER.values(), POSE)]
    rows.append(("late fusion", f"RGB stream + {quickest} + pose stream", fused))
    return [
        {
            "what": what,
            "network": name,
            "ms": round(spent.wall, 2),
            "core_ms": round(spent.core, 2),
            "ratio": round(fused.wall / spent.wall, 1) if what.startswith("student") else None,
        }
        for what, name, spent in rows
    ]


def printed(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    out = ["| | | ms | core ms | late fusion takes |", "|---|---|---:|---:|---:|"]
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f} times as long"
        times = f"{row['ms']:.2f} | {row['core_ms']:.2f}"
        out.append(f"| {row['what']} | {row['network']} | {times} | {ratio} |")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2, help="and processors")
    parser.add_argument("--frames", type=int, default=2 * BLOCK, help="of a clip of the students")
    parser.add_argument("--hamer-frames", type=int, default=2, help="that HaMeR reads at once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))[: given.threads]
    os.sched_setaffinity(0, processors)
    torch.set_num_threads(given.threads)
    works = {
        DETECTION: detection(given.frames),
        **rgb_stream("paper", given.frames, given.threads),
        **rgb_stream("small", given.frames, given.threads),
        POSE: pose_stream(given.frames, given.threads),
        **hamer(given.hamer_frames),
    }
    rows = lines(measured(works, given.repeats))
    print(printed(rows))
    if given.json is not None:
        about = {"threads": given.threads, "processors": len(processors), "rows": rows}
        given.json.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
