"""``chereme bench``: how fast this machine reads, stage by stage."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, tell, tell_json, warn
from chereme.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chereme.recognition.fingerspelling import Recognizer
    from chereme.recognition.isolated import IsolatedRecognizer

WIDTH, HEIGHT, FPS = 1280, 720, 30.0
CLIP_RUNS, CLIP_SECONDS = 50, 10.0  # a clip of one sign is read so often, or for so long
GRAIN = 5.0  # standard deviation, of 255: about 6 Mbit/s, as phones record


class Format(StrEnum):
    """Forms of the result."""

    txt = "txt"
    json = "json"


def bench(
    clip: Annotated[
        Path | None,
        typer.Argument(metavar="CLIP", help="A video; else a 720p one of a waving hand is made."),
    ] = None,
    model: options.Model = "fingerspelling",
    stream: options.ReadStream = options.Stream.auto,
    frames: Annotated[
        int, typer.Option(metavar="N", help="Frames of the clip that is made.")
    ] = 150,
    threads: options.Threads = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", metavar="FORM", help="txt or json.")
    ] = Format.txt,
) -> None:
    """Measure decoding, hand detection, network, beam search, and the whole, in frames a second.

    decode is measured alone; the others as they run together, where decoding and detection overlap.
    For a model that reads pictures, crop is reading the clip again and cutting the hand out, which
    overlaps with the network. For a model of isolated signs, what its network takes for as many
    frames as it reads of a clip is measured as well. For one of continuous signing, each of its
    networks, and the search in what they say, on a window of random input.
    """
    from chereme.recognition.registry import task_of

    if frames < 2:
        raise UsageError(f"frames: expected 2 or more, got {frames}")
    if task_of(model) == "continuous":
        if clip is not None or stream is not options.Stream.auto:
            raise UsageError(
                "a clip and --stream are not of models of continuous signing, whose networks are "
                "measured by themselves: leave them out"
            )
        _bench_signing(model, threads, form)
        return
    recognizer = _load(model, stream, threads)
    with tempfile.TemporaryDirectory() as folder:
        if clip is None:
            from chereme.video import write_video

            clip = Path(folder) / "waving.mp4"
            write_video(clip, waving_hand(frames), FPS)
            name = f"a waving hand of {WIDTH}x{HEIGHT}"
        else:
            name = str(clip)
        result = measure(recognizer, clip, name)
    result["threads"] = {"network": threads or os.cpu_count(), "processors": os.cpu_count()}
    if form is Format.json:
        tell_json(result)
        return
    tell(
        f"{result['clip']}, {result['frames']} frames, hand in {result['hand_coverage']:.0%}; "
        f"stream {result['stream']}; "
        f"{result['threads']['processors']} processors, "
        f"{result['threads']['network']} threads for the network"
    )
    if "ms_per_clip" in result:
        tell(
            f"network: {result['ms_per_clip']:.2f} ms for a clip of {result['clip_frames']} frames"
        )
    tell(f"{'stage':<12}{'ms/frame':>10}{'frames/s':>12}")
    for stage, row in result["stages"].items():
        rate = "-" if row["fps"] is None else f"{row['fps']:,.1f}"
        tell(f"{stage:<12}{row['ms']:>10.2f}{rate:>12}")


def _load(
    model: str, stream: options.Stream, threads: int | None
) -> Recognizer | IsolatedRecognizer:
    from chereme.recognition.registry import task_of

    if task_of(model) == "isolated":
        from chereme.recognition.isolated import IsolatedRecognizer, load_isolated

        return IsolatedRecognizer(load_isolated(model, stream.value, threads=threads))
    from chereme.recognition.fingerspelling import Recognizer
    from chereme.recognition.streams import load_streams

    return Recognizer(load_streams(model, stream.value, threads=threads))


def _bench_signing(model: str, threads: int | None, form: Format) -> None:
    from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
    from chereme.recognition.continuous_timing import measure_window

    recognizer = ContinuousRecognizer(load_continuous(model, threads=threads))
    measured = measure_window(recognizer)
    result = {
        **recognizer.info,
        "input": recognizer.bundle.config.input,
        "frames": measured.frames,
        "rate": measured.rate,
        "ms_per_frame": {part: round(ms, 4) for part, ms in measured.milliseconds.items()},
        "threads": {"network": threads or os.cpu_count(), "processors": os.cpu_count()},
    }
    if form is Format.json:
        tell_json(result)
        return
    tell(
        f"{recognizer.name}, a window of {measured.frames} frames ({measured.rate:g} a second), "
        f"random; read with {recognizer.options.reader}; {os.cpu_count()} processors, "
        f"{threads or os.cpu_count()} threads for the networks"
    )
    tell(f"{'part':<12}{'ms/frame':>10}{'frames/s':>12}")
    for part, ms in measured.milliseconds.items():
        tell(f"{part:<12}{ms:>10.3f}{1000 / ms:>12,.1f}")


def measure_clip(recognizer: IsolatedRecognizer) -> float:
    """The median of the milliseconds of the networks on the frames that they read of a clip."""
    import numpy as np

    from chereme.recognition.isolated import classify, classify_joints
    from chereme.recognition.sign_crops import HandJoints, encode_crops

    bundle = recognizer.bundles[0]
    given, rng = bundle.config.preprocessing, np.random.default_rng(0)
    joints = rng.uniform(0, 400, (given.frames, 2, 21, 2))
    present = np.ones((given.frames, given.hands), bool)

    def read() -> None:
        if given.crop is None:
            classify(bundle, joints, np.ones(joints.shape[:3]))
            return
        size = given.crop.size
        crops = rng.integers(0, 256, (present.size, 3, size, size), np.uint8)
        made = encode_crops(bundle, crops).reshape(*present.shape, 21, 3)
        classify_joints(bundle, HandJoints(made, present))

    read()
    times = []
    for _ in range(CLIP_RUNS):
        began = time.perf_counter()
        read()
        times.append(time.perf_counter() - began)
        if sum(times) > CLIP_SECONDS:
            break
    return 1000 * float(np.median(times))


def measure(recognizer: Recognizer | IsolatedRecognizer, clip: Path, name: str) -> dict[str, Any]:
    """Seconds of each stage for one clip, after a first run of a few frames to warm up."""
    from chereme.recognition.isolated import IsolatedRecognizer
    from chereme.video import open_video

    recognizer.recognize(clip, end=0.3)
    began = time.perf_counter()
    with open_video(clip) as reader:
        frames = sum(1 for _ in reader)
    decode = time.perf_counter() - began
    with ProgressBar(clip.name) as progress:
        transcript = recognizer.recognize(clip, progress=progress)
    info = transcript.info
    for message in transcript.warnings:
        warn(name, message)
    timings = info["timings"]
    signs = recognizer if isinstance(recognizer, IsolatedRecognizer) else None
    seconds = {
        "decode": decode,
        "detection": timings["detect"],
        "crop": timings.get("crop"),
        "network": timings.get("network", 0.0),
        "beam": None if signs else timings.get("search", 0.0),
        "whole": timings["total"],
    }
    return {
        "clip": name,
        "frames": frames,
        "width": info["width"],
        "height": info["height"],
        "hand_coverage": info["hand_coverage"],
        "model": info["model"],
        "stream": info["stream"],
        "models": info["models"],
        **({} if signs is None else _clip(signs)),
        "stages": {
            stage: {
                "ms": round(1000 * spent / frames, 3),
                "fps": round(frames / spent, 1) if spent > 0 else None,
            }
            for stage, spent in seconds.items()
            if spent is not None
        },
    }


def _clip(recognizer: IsolatedRecognizer) -> dict[str, Any]:
    frames = recognizer.bundles[0].config.preprocessing.frames
    return {"clip_frames": frames, "ms_per_clip": round(measure_clip(recognizer), 3)}


def waving_hand(count: int) -> Iterator[NDArray[np.uint8]]:
    """``count`` pictures ``(HEIGHT, WIDTH, 3)`` of a drawn open hand that moves to and fro.

    With the noise of a camera: a clean drawing would decode several times as fast as a real video.
    """
    import numpy as np

    hand = _draw_hand()
    grain = np.random.default_rng(0).normal(0, GRAIN, size=(2 * HEIGHT, WIDTH, 3)).astype(np.int16)
    for i in range(count):
        shift = round(120 * np.sin(2 * np.pi * i / (2 * FPS)))
        row = (i * 97) % HEIGHT
        noisy = np.roll(hand, shift, axis=1) + grain[row : row + HEIGHT]
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _draw_hand() -> NDArray[np.uint8]:
    import numpy as np

    skin, ground = np.array([224.0, 172.0, 140.0]), np.array([70.0, 90.0, 110.0])
    x, y = np.meshgrid(np.arange(WIDTH, dtype=float), np.arange(HEIGHT, dtype=float))
    picture = np.broadcast_to(ground, (HEIGHT, WIDTH, 3)).copy()
    wrist, palm = np.array([WIDTH / 2, 0.75 * HEIGHT]), 0.2 * HEIGHT
    # Of each finger: degrees from the x axis; knuckle, tip, thickness in palm lengths.
    fingers = (
        (40.0, 0.55, 1.15, 0.13),
        (75.0, 1.0, 1.9, 0.12),
        (88.0, 1.0, 2.0, 0.12),
        (100.0, 1.0, 1.9, 0.11),
        (114.0, 1.0, 1.65, 0.1),
    )
    # Limbs from a to b with a radius: the arm, the palm as five broad strokes, the fingers.
    limbs = [(wrist, wrist + np.array([0, 3 * palm]), 0.35 * palm)]
    for angle, knuckle, _, _ in fingers:
        limbs.append((wrist, _point(wrist, palm, angle, knuckle), 0.27 * palm))
    for angle, knuckle, tip, radius in fingers:
        ends = _point(wrist, palm, angle, knuckle), _point(wrist, palm, angle, tip)
        limbs.append((*ends, radius * palm))
    for a, b, radius in limbs:
        along = b - a
        share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / float(along @ along)
        share = np.clip(share, 0.0, 1.0)
        distance = np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
        inside = distance < radius
        shade = 0.55 + 0.45 * np.sqrt(1 - (distance[inside] / radius) ** 2)
        picture[inside] = skin * shade[:, None]
    return picture.astype(np.uint8)


def _point(wrist: NDArray[Any], palm: float, angle: float, length: float) -> NDArray[Any]:
    import numpy as np

    turn = np.radians(angle)
    point: NDArray[Any] = wrist + length * palm * np.array([np.cos(turn), -np.sin(turn)])
    return point
