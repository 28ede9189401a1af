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

EXAMPLE = "the example, enlarged"
WORDS = 8  # of the example whose letters are waited for


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
    live: Annotated[
        bool,
        typer.Option("--live", help="Measure a stream of frames instead: how late letters come."),
    ] = False,
    minutes: Annotated[
        float,
        typer.Option(metavar="N", min=0.0, help="Of --live: of a stream whose memory is measured."),
    ] = 60.0,
    threads: options.Threads = None,
    form: options.ReportForm = options.Form.txt,
) -> None:
    """Measure the networks, and each stage of reading a clip, in frames a second.

    decode is measured alone; the others as they run together, where decoding and detection overlap.
    For a model that reads pictures, crop is reading the clip again and cutting the hand out, which
    overlaps with the network. Parts are the networks and the search by themselves, on random input:
    of as many frames as a model of isolated signs reads of a clip, or of a window of continuous
    signing.

    --live: frames of the clip, or of the example again and again, come at their times. A letter's
    delay goes from its last frame to its text: by the clock, and if nothing else were at work
    (cpu). Memory is that of a stream of so many --minutes, in which hands are looked for once.
    """
    from chereme.recognition import profiling
    from chereme.recognition.registry import task_of
    from chereme.video import write_video

    if frames < 2:
        raise UsageError(f"frames: expected 2 or more, got {frames}")
    task = TASKS[task_of(model)]
    chosen = options.task_options(task, model, {"stream": stream})
    if live:
        threads = threads or options.STREAM_THREADS
    recognizer = task.load(model, threads=threads, **chosen)
    if clip is not None and not recognizer.reads_video:
        raise UsageError(
            f"the model {model!r} reads no video: its networks are measured by themselves; leave "
            "out the clip"
        )
    result: dict[str, Any] = {**recognizer.info, "threads": profiling.threads(threads)}
    if live:
        _measure_live(recognizer, clip, minutes, result)
        if form is options.Form.json:
            tell_json(result)
        else:
            _tell_live(result)
        return
    if recognizer.reads_video:
        with tempfile.TemporaryDirectory() as folder, ProgressBar(task.name) as progress:
            path = clip or Path(folder) / "example.mp4"
            if clip is None:
                write_video(path, profiling.enlarged_example(frames), profiling.FPS)
            measured, transcript = profiling.profile_clip(recognizer, path, progress)
        name = EXAMPLE if clip is None else str(clip)
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


def _measure_live(
    recognizer: Any, clip: Path | None, minutes: float, result: dict[str, Any]
) -> None:
    from chereme.recognition import latency
    from chereme.recognition.fingerspelling import Recognizer
    from chereme.video import open_video

    if not isinstance(recognizer, Recognizer):
        raise UsageError("--live is of fingerspelling: give a model of it, or leave out --live")
    if clip is None:
        result |= latency.measure_delays(recognizer, latency.example_film(WORDS))
    else:
        with open_video(clip) as reader:
            result |= latency.measure_delays(recognizer, reader)
    result["clip"] = EXAMPLE if clip is None else str(clip)
    result["memory_mb"] = latency.measure_memory(recognizer, list(latency.example_film(1)), minutes)


def _tell_live(result: dict[str, Any]) -> None:
    network, processors = result["threads"].values()
    tell(f"{result['model']['name']}: {processors} processors, {network} threads for the networks")
    of_these = f"{result['letters']} letters, {result['corrected']} by the final text alone"
    tell(f"{result['clip']}: {of_these}")
    tell(f"{'':<8}{'ms/frame':>10}{'delay p50':>12}{'p95':>10}")
    for clock, delay in result["delay"].items():
        frame = result["frame_ms"][clock]
        tell(f"{clock:<8}{frame:>10.2f}{delay['p50']:>10.3f} s{delay['p95']:>8.3f} s")
    if memory := result["memory_mb"]:
        tell(f"memory: {memory[0]} MB after a minute, {memory[-1]} after {len(memory)}")
