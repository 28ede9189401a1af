"""``chereme landmarks``: the hand landmarks of a recording, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, say, warn
from chereme.errors import UsageError


@options.reads_source
def landmarks(
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="A video, image, folder of frames, or landmark file."),
    ],
    output: options.OutputFile,
    overwrite: options.Overwrite = False,
    *,
    source_options: dict[str, Any],
) -> None:
    """Find the hands in INPUT and write their landmarks (.pose v0.2, or .npz)."""
    from chereme.formats.outputs import new_file
    from chereme.formats.poses import write_landmarks
    from chereme.recognition.hand_landmarks import LANDMARK_SUFFIXES, detect_hands

    if output.suffix.lower() not in LANDMARK_SUFFIXES:
        raise UsageError(f"{output}: expected a name that ends in .pose or .npz")
    with new_file(output, overwrite=overwrite) as part:
        with ProgressBar(source.name) as progress:
            detected = detect_hands(
                source,
                progress=progress,
                **source_options,
            )
        for message in detected.warnings:
            warn(str(source), message)
        found = detected.landmarks
        write_landmarks(found, part)
    seen = (found.confidence > 0).any(axis=(1, 2)).mean() if found.handedness else 0.0
    say(
        f"{output}: {len(found.timestamps)} frames, {len(found.handedness)} hands, "
        f"a hand in {seen:.0%} of the frames"
    )
