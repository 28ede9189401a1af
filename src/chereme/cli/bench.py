"""``chereme bench``: how fast this machine reads, stage by stage."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, tell, tell_json, warn
from chereme.errors import UsageError
from chereme.recognition.tasks import TASKS


def bench(
    clip: Annotated[
        Path | None,
        typer.Argument(metavar="CLIP", help="A video; else one of 720p is made of the example."),
    ] = None,
    model: options.Model = "fingerspelling",
    stream: options.ReadStream = options.Stream.auto,
    frames: Annotated[
        int, typer.Option(metavar="N", help="Frames of the clip that is made.")
    ] = 150,
    threads: options.Threads = None,
    form: options.ReportForm = options.Form.txt,
) -> None:
    """Measure the networks, and each stage of reading a clip, in frames a second.

    decode is measured alone; the others as they run together, where decoding and detection overlap.
    For a model that reads pictures, crop is reading the clip again and cutting the hand out, which
    overlaps with the network. Parts are the networks and the search by themselves, on random input:
    of as many frames as a model of isolated signs reads of a clip, or of a window of continuous
    signing.
    """
    from chereme.recognition import profiling
    from chereme.recognition.registry import task_of
    from chereme.video import write_video

    if frames < 2:
        raise UsageError(f"frames: expected 2 or more, got {frames}")
    task = TASKS[task_of(model)]
    chosen = options.task_options(task, model, {"stream": stream})
    recognizer = task.load(model, threads=threads, **chosen)
    if clip is not None and not recognizer.reads_video:
        raise UsageError(
            f"the model {model!r} reads no video: its networks are measured by themselves; leave "
            "out the clip"
        )
    result: dict[str, Any] = {**recognizer.info, "threads": profiling.threads(threads)}
    if recognizer.reads_video:
        with tempfile.TemporaryDirectory() as folder, ProgressBar(task.name) as progress:
            path = clip or Path(folder) / "example.mp4"
            if clip is None:
                write_video(path, profiling.enlarged_example(frames), profiling.FPS)
            measured, transcript = profiling.profile_clip(recognizer, path, progress)
        name = "the example, enlarged" if clip is None else str(clip)
        result |= {"clip": name, **measured}
        for message in transcript.warnings:
            warn(name, message)
    if parts := profiling.profile_parts(recognizer):
        result["parts"] = parts
    if form is options.Form.json:
        tell_json(result)
        return
    network, processors = result["threads"].values()
    tell(f"{result['model']['name']}: {processors} processors, {network} threads for the networks")
    if "clip" in result:
        size = f"{result['width']}x{result['height']}"
        tell(f"{result['clip']}: {result['frames']} frames of {size}")
        tell(f"{'stage':<12}{'ms/frame':>10}{'frames/s':>12}")
        for stage, row in result["stages"].items():
            rate = "-" if row["fps"] is None else f"{row['fps']:,.1f}"
            tell(f"{stage:<12}{row['ms']:>10.2f}{rate:>12}")
    if "parts" in result:
        tell(f"{'part':<12}{'ms/frame':>10}{'ms/run':>12}{'frames':>8}")
        for part, row in result["parts"].items():
            ms, whole = row["ms_per_frame"], row["ms"]
            tell(f"{part:<12}{ms:>10.3f}{whole:>12.2f}{row['frames']:>8}")
