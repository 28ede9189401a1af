"""Time and size of networks.

    OMP_NUM_THREADS=1 python benchmarks/speed.py recipes      # of fingerspelling, network alone
    OMP_NUM_THREADS=1 python benchmarks/speed.py signx RUN    # of stage II, a checkpoint of it
    python benchmarks/speed.py fusion --threads 2             # the student against late fusion

Weights are random, as times do not depend on them. What is compared takes turns, round after round,
and the quickest round of each counts: the others tell what else the machine was doing. 'ms' is the
time of the clock, 'core ms' that of all processors together, which holds also where other work
shares the machine.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jsonargparse import auto_cli
from results import markdown

from chereme.formats.networks import open_network
from chereme.recognition.config import ENCODER, SEQUENCE

CONFIGS = "configs/fingerspelling"


class Work(NamedTuple):
    """Something to time, of ``frames`` at once."""

    frames: int
    run: Callable[[], object]


class Time(NamedTuple):
    """Milliseconds of a frame."""

    wall: float
    core: float


def measured(works: Mapping[str, Work], rounds: int) -> dict[str, Time]:
    """The least time of each, after one round to warm up."""
    best = dict.fromkeys(works, Time(np.inf, np.inf))
    for number in range(rounds + 1):
        for name, work in works.items():
            wall, core = time.perf_counter(), time.process_time()
            work.run()
            spent = time.perf_counter() - wall, time.process_time() - core
            if number:
                pairs = zip(best[name], spent, strict=True)
                best[name] = Time(*(min(old, 1e3 * new / work.frames) for old, new in pairs))
    return best


def task(*options: str) -> Any:
    """The task that ``chereme train`` builds of these options."""
    from chereme.training.cli import TrainingCLI

    warnings.filterwarnings("ignore")  # Lightning's, of arguments
    quiet = ("--trainer.logger=false", "--trainer.accelerator=cpu")
    cli = TrainingCLI(
        subclass_mode_model=True, subclass_mode_data=True, run=False, args=[*options, *quiet]
    )
    return cli.model


def recognizer(*recipes: str) -> Any:
    """A recogniser of fingerspelling, of the files of recipes."""
    files = [f"--config={CONFIGS}/{name}.yaml" for name in recipes]
    data = [] if recipes == ("landmarks",) else ["--data.init_args.shards=[none]"]
    return task(*files, *data).model.eval()


def millions(module: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.1f} M"


# -- fingerspelling --------------------------------------------------------------------------------
RECIPES = {"landmarks": ("landmarks",), "paper": ("recipes/paper",), "small": ("recipes/small",)}


def exported(model: Any, crops: np.ndarray | None = None) -> tuple[dict[str, bytes], bytes]:
    """The encoder of a bundle of letters, by kind, and its sequence network. ``crops (N, H, W, 3)``
    are those that int8 is calibrated with."""
    from chereme.systems.fingerspelling.checkpoints import CROP, Checkpoint
    from chereme.systems.fingerspelling.export import spec_of_model
    from chereme.text import ASL_LETTERS
    from chereme.training.compression import int8_convolutions

    crop = None if crops is None else dict.fromkeys(CROP, 0.1)
    networks = spec_of_model(Checkpoint(model, 25.0, ASL_LETTERS, crop)).onnx()
    encoders = {"float32": networks[ENCODER]}
    if crops is not None:
        encoders["int8"] = int8_convolutions(networks[ENCODER], [crops])
    return encoders, networks[SEQUENCE]


def reads(content: bytes, threads: int = 1, **inputs: np.ndarray) -> Work:
    """A network in ONNX Runtime. ``inputs (T, ...)`` or ``(1, T, ...)``."""
    session = open_network(content, Path("network.onnx"), threads)
    (values,) = inputs.values()
    frames = values.shape[1] if "features" in inputs else len(values)
    return Work(frames, lambda: session.run(None, inputs))


def features(model: Any, count: int) -> np.ndarray:
    return np.zeros((1, count, model.encoder.feature_dim), np.float32)


def recipes(rounds: int = 5, count: int = 24) -> None:
    """Served (the networks of a bundle) and trained (forward and backward), clips of ``count``."""
    from chereme.systems.fingerspelling.export import example_frames
    from chereme.training.compression import half_weights

    torch.set_num_threads(1)
    lines = []
    for name, files in RECIPES.items():
        model = recognizer(*files)
        frames = example_frames(model, count)

        def train(model: Any = model, frames: torch.Tensor = frames) -> None:
            sequence, visual, _ = model.train()(frames[None], torch.tensor([count]))
            (sequence.sum() + visual.sum()).backward()

        trained = measured({"": Work(count, train)}, rounds)[""].core
        inputs = frames.numpy()
        crops = inputs.transpose(0, 2, 3, 1) if model.config.stream == "rgb" else None
        encoders, sequence = exported(model.eval(), crops)
        works = {kind: reads(content, frames=inputs) for kind, content in encoders.items()}
        works["sequence"] = reads(sequence, features=features(model, count))
        spent = measured(works, rounds)
        cells = [f"{len(encoders[k]) / 1e6:.1f} MB, {spent[k].core:.2f}" for k in encoders]
        cells += [""] * (2 - len(cells))
        half = f"({len(half_weights(sequence)) / 1e6:.1f})"
        cells.append(f"{len(sequence) / 1e6:.1f} MB {half}, {spent['sequence'].core:.2f}")
        lines.append([name, millions(model), *cells, f"{trained:.1f}"])
    head = ("recipe", "parameters", "encoder, float32", "int8", "sequence network (half)")
    print(markdown((*head, "trained"), lines))


def fusion(threads: int = 1, rounds: int = 5, frames: int = 16, hamer_frames: int = 2) -> None:
    """The RGB-only distilled student against the two-stream late fusion that it replaces.

    Late fusion reads each crop twice: the RGB stream, and HaMeR (ViT-H and transformer head), whose
    vector the pose stream reads. The student is the RGB stream alone. Finding the hand, which comes
    first in both, is not counted. HaMeR reads ``hamer_frames`` at once."""
    from chereme.recognition.config import Ports
    from chereme.systems.fingerspelling.export import LogProbs
    from chereme.teachers.hamer import Hamer, HamerTeacher
    from chereme.training.export import to_onnx

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)
    works = dict[str, Work]()
    for name in ("paper", "small"):
        model = recognizer(f"recipes/{name}")
        side = model.config.rgb.image_size
        crops = np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), np.uint8)
        encoders, sequence = exported(model, crops[:8])
        read = reads(sequence, threads, features=features(model, frames)).run
        for kind, content in encoders.items():
            see = reads(content, threads, frames=crops.transpose(0, 3, 1, 2)).run
            both = partial(lambda see, read: (see(), read()), see, read)
            works[f"student {name}, {kind}"] = Work(frames, both)
    pose = recognizer("recipes/paper", "table_2/pose_transformer")
    vectors = np.zeros((1, frames, pose.config.pose.dim), np.float32)
    free: Any = [{name: ("float", (1, "time", None))} for name in ("features", "log_probs")]
    content = to_onnx(LogProbs(pose.sequence), (torch.from_numpy(vectors),), Ports(*free))
    works["pose stream"] = reads(content, threads, features=vectors)
    crops = np.zeros((hamer_frames, 256, 256, 3), np.uint8)
    for kind in ("float32", "bfloat16"):
        with torch.device("meta"):
            hamer = Hamer()
        hamer = hamer.to(getattr(torch, kind)).to_empty(device="cpu")
        for tensor in hamer.state_dict().values():
            tensor.normal_(std=0.02)
        teacher = HamerTeacher(hamer, batch_size=hamer_frames)
        works[f"HaMeR, {kind}"] = Work(hamer_frames, partial(teacher.embed, crops))
    spent = measured(works, rounds)
    quicker = min(("HaMeR, float32", "HaMeR, bfloat16"), key=lambda name: spent[name].wall)
    parts = [spent[name] for name in ("student paper, float32", quicker, "pose stream")]
    spent["late fusion"] = Time(sum(p.wall for p in parts), sum(p.core for p in parts))
    lines = []
    for name, took in spent.items():
        ratio = f"{spent['late fusion'].wall / took.wall:.1f}" if "student" in name else ""
        lines.append([name, f"{took.wall:.2f}", f"{took.core:.2f}", ratio])
    print(markdown(("", "ms", "core ms", "late fusion takes so many times"), lines))


# -- other networks --------------------------------------------------------------------------------
def signx(run: Path, rounds: int = 5) -> None:
    """A frame by Video2Pose, and by Pose2Gloss with its CTC head, of a checkpoint of stage II."""
    from chereme.systems.signx.video_task import load_video2gloss

    torch.set_num_threads(1)
    model, _, _ = load_video2gloss(run)
    count, size = 48, model.video2pose.config.vit.image_size
    frames = torch.rand(1, count, 3, size, size)
    with torch.inference_mode():
        tracks = model(frames)
        present = {name: torch.ones(1, count, dtype=torch.bool) for name in tracks}
        works = {
            "Video2Pose": Work(count, lambda: model(frames)),
            "Pose2Gloss": Work(count, lambda: model.pose2gloss.ctc_log_probs(tracks, present)),
        }
        for name, took in measured(works, rounds).items():
            print(f"{name}: {took.wall:.2f} ms a frame")


if __name__ == "__main__":
    auto_cli([recipes, fusion, signx])
