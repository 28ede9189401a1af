"""Time and size of networks, of the hand model and of the renderer.

    OMP_NUM_THREADS=1 python benchmarks/speed.py recipes      # of fingerspelling, network alone
    OMP_NUM_THREADS=1 python benchmarks/speed.py hand_aware   # whole networks
    OMP_NUM_THREADS=1 python benchmarks/speed.py signx RUN    # of stage II, a checkpoint of it
    python benchmarks/speed.py fusion --threads 2             # the student against late fusion
    python benchmarks/speed.py hand_layer --threads 2         # MANO's layer against smplx's
    python benchmarks/speed.py renderer

Weights are random, as times do not depend on them. What is compared takes turns, round after round,
and the quickest round of each counts: the others tell what else the machine was doing. 'ms' is the
time of the clock, 'core ms' that of all processors together, which holds also where other work
shares the machine.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from results import markdown
from studies import Tables

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
RECIPES = {
    "landmarks": ("landmarks",),
    "paper": ("recipes/paper",),
    "paper_vac": ("recipes/paper", "recipes/paper_vac"),
    "small": ("recipes/small",),
}


def recipes(given: argparse.Namespace) -> None:
    """Served (the networks of a bundle) and trained (forward and backward)."""
    from chereme.systems.fingerspelling.export import example_frames
    from chereme.training.compression import half_weights, int8_convolutions

    count, lines = 24, []
    for name, files in RECIPES.items():
        model = recognizer(*files)
        frames = example_frames(model, count)

        def train(model: Any = model, frames: torch.Tensor = frames) -> None:
            sequence, visual, _ = model.train()(frames[None], torch.tensor([count]))
            (sequence.sum() + visual.sum()).backward()

        works = {"trained": Work(count, train)}
        trained = measured(works, given.rounds)["trained"].core
        networks = exported(model.eval())
        encoders = {"float32": networks[ENCODER]}
        if model.config.stream == "rgb":
            crops = frames.numpy().transpose(0, 2, 3, 1)
            encoders["int8"] = int8_convolutions(networks[ENCODER], [crops])
        features = np.zeros((1, count, model.encoder.feature_dim), np.float32)
        works = {
            kind: Work(count, _call(content, frames=frames.numpy()))
            for kind, content in encoders.items()
        }
        works["sequence"] = Work(count, _call(networks[SEQUENCE], features=features))
        spent = measured(works, given.rounds)
        encoder = [f"{len(encoders[k]) / 1e6:.1f} MB, {spent[k].core:.2f}" for k in encoders]
        half = len(half_weights(networks[SEQUENCE])) / 1e6
        sequence = f"{len(networks[SEQUENCE]) / 1e6:.1f} MB ({half:.1f}), "
        sequence += f"{spent['sequence'].core:.2f}"
        encoder += [""] * (2 - len(encoder))
        lines.append([name, millions(model), *encoder, sequence, f"{trained:.1f}"])
    head = (
        "recipe",
        "parameters",
        "encoder, float32",
        "int8",
        "sequence network (half)",
        "trained",
    )
    print(markdown(head, lines))


def exported(model: Any) -> dict[str, bytes]:
    """The networks of a bundle of letters, by file."""
    from chereme.systems.fingerspelling.checkpoints import CROP, Checkpoint
    from chereme.systems.fingerspelling.export import spec_of_model
    from chereme.text import ASL_LETTERS

    crop = dict.fromkeys(CROP, 0.1) if model.config.stream == "rgb" else None
    return spec_of_model(Checkpoint(model, 25.0, ASL_LETTERS, crop)).onnx()


def _call(content: bytes, threads: int = 1, **inputs: np.ndarray) -> Callable[[], object]:
    session = open_network(content, Path("network.onnx"), threads)
    return lambda: session.run(None, inputs)


def fusion(given: argparse.Namespace) -> None:
    """The RGB-only distilled student against the two-stream late fusion that it replaces.

    Late fusion reads each crop twice: the RGB stream, and HaMeR (ViT-H and transformer head), whose
    vector the pose stream reads. The student is the RGB stream alone. Finding the hand comes first
    in both and is counted apart.
    """
    from chereme.hands.detector import MediaPipeDetector
    from chereme.recognition.config import Ports
    from chereme.recognition.profiling import enlarged_example
    from chereme.systems.fingerspelling.export import LogProbs
    from chereme.teachers.hamer import Hamer, HamerTeacher
    from chereme.training.compression import int8_convolutions
    from chereme.training.export import to_onnx

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    count, works = given.frames, dict[str, Work]()
    pictures, detector = list(enlarged_example(count)), MediaPipeDetector()

    def detect() -> None:
        detector.reset()
        for number, picture in enumerate(pictures):
            detector.detect(picture, number / 30)

    works["hand detection"] = Work(count, detect)
    for name in ("paper", "small"):
        model = recognizer(f"recipes/{name}")
        networks, side = exported(model), model.config.rgb.image_size
        crops = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
        encoders = {
            "float32": networks[ENCODER],
            "int8": int8_convolutions(networks[ENCODER], [crops[:8]]),
        }
        features = np.zeros((1, count, model.encoder.feature_dim), np.float32)
        read = _call(networks[SEQUENCE], given.threads, features=features)
        for kind, content in encoders.items():
            see = _call(content, given.threads, frames=crops.transpose(0, 3, 1, 2))
            works[f"student {name}, {kind}"] = Work(
                count, lambda see=see, read=read: (see(), read())
            )
    pose = recognizer("recipes/paper", "table_2/pose_transformer")
    vectors = np.zeros((1, count, pose.config.pose.dim), np.float32)
    free: Any = [{name: ("float", (1, "time", None))} for name in ("features", "log_probs")]
    content = to_onnx(LogProbs(pose.sequence), (torch.from_numpy(vectors),), Ports(*free))
    works["pose stream"] = Work(count, _call(content, given.threads, features=vectors))
    crops = np.zeros((given.hamer_frames, 256, 256, 3), np.uint8)
    for kind in ("float32", "bfloat16"):
        with torch.device("meta"):
            hamer = Hamer()
        hamer = hamer.to(getattr(torch, kind)).to_empty(device="cpu")
        for tensor in hamer.state_dict().values():
            tensor.normal_(std=0.02)
        teacher = HamerTeacher(hamer, batch_size=len(crops))
        works[f"HaMeR, {kind}"] = Work(len(crops), partial(teacher.embed, crops))
    spent = measured(works, given.rounds)
    quicker = min(("HaMeR, float32", "HaMeR, bfloat16"), key=lambda name: spent[name].wall)
    parts = [spent[name] for name in ("student paper, float32", quicker, "pose stream")]
    spent["late fusion"] = Time(sum(p.wall for p in parts), sum(p.core for p in parts))
    lines = []
    for name, took in spent.items():
        ratio = f"{spent['late fusion'].wall / took.wall:.1f}" if "student" in name else ""
        lines.append([name, f"{took.wall:.2f}", f"{took.core:.2f}", ratio])
    print(markdown(("", "ms", "core ms", "late fusion takes so many times"), lines))


# -- other networks --------------------------------------------------------------------------------
def hand_aware(given: argparse.Namespace) -> None:
    """Whole networks, a clip of 8 frames at a time."""
    here = Tables.load("hand_aware").studies["here"].runs("cla_reg_spa_tem")[1].options
    config = "--config=configs/hand_aware/{}.yaml"
    rows = {
        "of the tables": here,
        "ours": [config.format("ours")],
        "paper": [config.format("paper")],
    }
    works, about = dict[str, Work](), dict[str, str]()
    for name, options in rows.items():
        network = task(*options).model.eval()
        hands, size = network.config.hands, network.config.rgb.image_size
        crops = torch.rand(1, hands, 8, 3, size, size)
        works[name] = Work(8, torch.no_grad()(partial(network, crops)))
        about[name] = f"{size} pixels, {'one hand' if hands == 1 else 'both hands'}"
        about[name] += f" | {millions(network)}"
    spent = measured(works, given.rounds)
    lines = [[name, about[name], f"{took.wall:.2f}"] for name, took in spent.items()]
    print(markdown(("network", "crops | weights", "ms"), lines))


def signx(given: argparse.Namespace) -> None:
    """A frame by Video2Pose, and by Pose2Gloss with its CTC head."""
    from chereme.systems.signx.video_task import load_video2gloss

    model, _, _ = load_video2gloss(given.run)
    count, size = 48, model.video2pose.config.vit.image_size
    frames = torch.rand(1, count, 3, size, size)
    with torch.inference_mode():
        tracks = model(frames)
        present = {name: torch.ones(1, count, dtype=torch.bool) for name in tracks}
        works = {
            "Video2Pose": Work(count, lambda: model(frames)),
            "Pose2Gloss": Work(count, lambda: model.pose2gloss.ctc_log_probs(tracks, present)),
        }
        for name, took in measured(works, given.rounds).items():
            print(f"{name}: {took.wall:.2f} ms a frame")


def hand_layer(given: argparse.Namespace) -> None:
    """Ours and smplx's linear blend skinning (pip install smplx: non-commercial, for comparison
    only) of a random hand of MANO's size, axis-angle poses in single precision: forward, and with
    the gradients of the sum of the vertices. Ours gives 21 landmarks too."""
    from smplx.lbs import lbs

    from chereme.hand_model import HandLayer, HandTemplate

    rng = np.random.default_rng(0)
    hand = replace(
        HandTemplate.load("open"),
        v_template=rng.normal(0, 0.05, (778, 3)),
        shapedirs=rng.normal(0, 0.005, (778, 3, 10)),
        posedirs=rng.normal(0, 0.002, (778, 3, 135)),
        joint_regressor=rng.dirichlet(np.full(778, 0.1), 16),
        weights=rng.dirichlet(np.full(16, 0.3), 778),
        faces=rng.integers(0, 778, (1538, 3)),
        tips={"hamer": (744, 320, 443, 554, 671)},
        extras={},
    )
    layer = HandLayer(hand, flat_hand_mean=True)
    moved = [hand.v_template, hand.shapedirs, hand.posedirs.reshape(-1, 135).T]
    arrays = [torch.tensor(array, dtype=torch.float32) for array in (*moved, hand.joint_regressor)]
    arrays += [torch.tensor(hand.parents), torch.tensor(hand.weights, dtype=torch.float32)]
    kinds: dict[str, Callable[..., torch.Tensor]] = {
        "smplx": lambda betas, pose: lbs(betas, pose, *arrays)[0],
        "chereme": lambda betas, pose: layer(betas, pose[:, 3:], pose[:, :3]).vertices,
    }
    lines = []
    for batch in (1, 64, 1024):
        betas, pose = torch.randn(batch, 10), 0.5 * torch.randn(batch, 48)
        torch.testing.assert_close(
            *(function(betas, pose) for function in kinds.values()), atol=1e-6, rtol=0
        )
        for gradients in (False, True):
            inputs = [t.clone().requires_grad_(gradients) for t in (betas, pose)]

            def run(
                function: Callable[..., torch.Tensor],
                inputs: Sequence[torch.Tensor] = inputs,
                gradients: bool = gradients,
            ) -> None:
                vertices = function(*inputs)
                if gradients:
                    torch.autograd.grad(vertices.sum(), inputs)

            works = {name: Work(1, partial(run, function)) for name, function in kinds.items()}
            spent = measured(works, max(given.rounds, 2000 // (batch + 9)))
            times = [f"{spent[name].wall:.3f}" for name in kinds]
            lines.append([str(batch), "gradients" if gradients else "forward", *times])
    print(markdown(("batch", "", *kinds), lines))


# -- the renderer ----------------------------------------------------------------------------------
def renderer(given: argparse.Namespace) -> None:
    """Frames of the software renderer: a hand with forearm and sleeve, posed beforehand, two
    lights, shadow, occlusion, background, noise, blur and JPEG; each thread renders its own."""
    for size, fine in ((128, False), (256, False), (256, True)):
        frame, faces = _filmed_hand(size, fine)
        frame(0)  # numba compiles, or loads what it compiled
        for threads in (1, 2):
            stop, began = time.perf_counter() + 0.6 * given.rounds, time.perf_counter()

            work = partial(_rendered, frame, stop, threads)
            with ThreadPoolExecutor(threads) as pool:
                done, busy = zip(*pool.map(work, range(threads)), strict=True)
            rate = sum(done) / (time.perf_counter() - began)
            core = 1e3 * sum(busy) / sum(done)
            about = f"{size} pixels, {faces} faces, {threads} threads"
            print(f"{about}: {rate:.0f} frames a second, {core:.2f} core ms", flush=True)


def _rendered(
    frame: Callable[[int], object], stop: float, step: int, first: int
) -> tuple[int, float]:
    """How many frames a thread renders until ``stop``, and the seconds of its core."""
    done, busy = 0, time.thread_time()
    while time.perf_counter() < stop:
        frame(first + step * done)
        done += 1
    return done, time.thread_time() - busy


def _filmed_hand(size: int, fine: bool) -> tuple[Callable[[int], object], int]:
    """What renders frame ``k`` of a hand in some poses, and the faces that it draws."""
    from chereme.hand_model import HandLayer, HandTemplate
    from chereme.hands.camera import Camera
    from chereme.synthesis import rendering

    # Palm to the camera, fingers up: rows are the camera's axes in the hand's.
    upright = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # Columns side, forward and normal of the palm in the hand's own axes.
    hand_frame = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    fill = rendering.Light((0.8, 0.0, -0.5), (0.2, 0.2, 0.25))
    lighting = rendering.Lighting(rendering.Light((-0.6, -0.7, -0.6)), (fill,))
    film = rendering.Film(vignette=0.2, blur=0.4, jpeg=80)
    template, rng = HandTemplate.load("open"), np.random.default_rng(0)
    pose = torch.from_numpy(rng.normal(0, 0.15, (16, 45)))
    zeros = [torch.zeros(16, width, dtype=pose.dtype) for width in (10, 3)]
    out = HandLayer(template, flat_hand_mean=True)(zeros[0], pose, zeros[1])
    tone, extras = rendering.SkinTone(55), template.extras
    hand = rendering.Mesh(
        template.v_template,
        template.faces,
        tone.albedo(extras["palmar"], extras["nail"], extras["crease"], extras["flush"]),
        tone.glosses(extras["palmar"], extras["nail"]),
        rendering.SKIN,
        template.v_template,
    )
    wrist = template.joint_regressor[0] @ template.v_template
    shape = rendering.ArmShape()
    arm = rendering.Arm(shape, tone, (0.1, 0.15, 0.3), hand, wrist, hand_frame)
    shift = np.array([0.0, 0.0, 0.6])
    vertices = out.vertices.detach().numpy() @ upright.T + shift
    wrists = out.joints[:, 0].detach().numpy() @ upright.T + shift
    background = rendering.clutter(rng, size, size)
    camera = Camera.from_field_of_view(size, size, 24)
    finer = rendering.Subdivision(arm.faces, arm.count) if fine else None

    def frame(number: int) -> object:
        k = number % len(vertices)
        elbow = wrists[k] + np.array([0.025, 0.25, 0.025])
        meshes = arm.place(vertices[k], wrists[k], upright @ hand_frame, elbow)
        if finer is not None:
            meshes[0] = finer.mesh(meshes[0])
        seen = rendering.render(meshes, camera, lighting, background)
        return rendering.tone_map(seen.image, film, np.random.default_rng(number))

    return frame, len((finer or arm).faces)


STUDIES: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "recipes": recipes,
    "fusion": fusion,
    "hand_aware": hand_aware,
    "signx": signx,
    "hand_layer": hand_layer,
    "renderer": renderer,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=tuple(STUDIES))
    parser.add_argument("run", nargs="?", type=Path, help="signx: a checkpoint of stage II")
    parser.add_argument("--threads", type=int, default=1, help="and processors")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=16, help="fusion: of a clip")
    parser.add_argument(
        "--hamer-frames", type=int, default=2, help="fusion: that HaMeR reads at once"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    STUDIES[given.study](given)


if __name__ == "__main__":
    main()
