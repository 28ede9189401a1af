"""Transcripts as text files: txt, json, srt, vtt, tsv, eaf.

Each format is one function ``(transcript, source, directory, elan) -> str`` in the table
:data:`WRITERS`, named by its file extension, that touches no file; saving is a step of its own.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chereme.errors import UsageError
from chereme.formats.eaf_writing import ElanReading, ElanStyle, render_eaf
from chereme.formats.outputs import write_file
from chereme.formats.words import split_words, to_milliseconds
from chereme.text.escapes import escape
from chereme.types import Transcript

Writer = Callable[[Transcript, str | Path | None, Path | None, ElanStyle], str]

JSON_SCHEMA_VERSION = 1
SHORTEST_CUE = 500  # ms on screen, where the next word leaves the time


def write(
    transcript: Transcript,
    source: str | Path | None,
    fmt: str,
    directory: str | Path | None = None,
    elan: ElanStyle | None = None,
) -> str:
    """Render a transcript in a format of :data:`WRITERS`.

    ``source`` is the input that was read. Only eaf asks for ``directory``, the folder the result
    will lie in (for the relative path to the video), and for ``elan``, the names of its tiers.

    Raises UsageError for an unknown format, or tokens that do not spell the text.
    """
    if fmt not in WRITERS:
        raise UsageError(f"format: expected one of {', '.join(WRITERS)}, got {fmt!r}")
    where = None if directory is None else Path(directory)
    return WRITERS[fmt](transcript, source, where, elan or ElanStyle())


def save(text: str, path: str | Path, *, overwrite: bool = False) -> None:
    """Write rendered text as UTF-8, making the folder; what UTF-8 cannot hold becomes ``?``.

    Raises OutputError if that cannot be, or if the file is there already and not to be replaced.
    """
    write_file(path, text.encode("utf-8", "replace"), overwrite=overwrite)


def output_paths(inputs: Sequence[str | Path], directory: str | Path, extension: str) -> list[Path]:
    """A file in ``directory`` for each input: its base name with ``extension`` (without the dot).

    No two are equal, also where upper and lower case are one, and none is an input: the first input
    of a base name gets it, later ones get ``-2``, ``-3`` ... appended.
    """
    return [paths[0] for paths in output_sets(inputs, directory, [extension])]


def output_sets(
    inputs: Sequence[str | Path], directory: str | Path, extensions: Sequence[str]
) -> list[list[Path]]:
    """As :func:`output_paths`, several files for each input, which differ in their extensions."""
    directory = Path(directory)
    stems = [_stem(Path(source)) for source in inputs]
    taken = {_key(Path(source)) for source in inputs}

    def files(name: str) -> list[Path]:
        return [directory / f"{name}.{extension}" for extension in extensions]

    # A number must not take the name that another input has by itself ("clip-2.mp4").
    own = {_key(path) for stem in stems for path in files(stem)}
    sets = []
    for stem in stems:
        paths, number = files(stem), 1
        while (keys := {_key(path) for path in paths}) & taken or (number > 1 and keys & own):
            number += 1
            paths = files(f"{stem}-{number}")
        taken |= keys
        sets.append(paths)
    return sets


def _stem(source: Path) -> str:
    # resolve() gives "." and ".." their names; a folder of frames has no extension to lose
    named = source if source.name not in ("", "..") else source.resolve()
    return (named.name if os.path.isdir(named) else named.stem) or "root"


def _key(path: Path) -> str:
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


# --- formats -----------------------------------------------------------------------------------


def _txt(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    return escape(transcript.text) + "\n"


def _json(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    document = {
        "schema_version": JSON_SCHEMA_VERSION,
        "source": None if source is None else str(source),
        "text": transcript.text,
        "tokens": transcript.tokens,
        "info": transcript.info,
        "warnings": transcript.warnings,
    }
    return json.dumps(_plain(document), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _srt(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(_cues(transcript), start=1)
    )


def _vtt(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    cues = "".join(
        f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{_escape_vtt(text)}\n"
        for start, end, text in _cues(transcript)
    )
    return f"WEBVTT\n{cues}"


def _tsv(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    """One line a letter: start and end in seconds, text, probability, number of its word from 1."""
    lines = ["start\tend\ttext\tprobability\tword"]
    for number, word in enumerate(split_words(transcript), start=1):
        for token in word.tokens:
            text = escape(token.text)
            lines.append(
                f"{token.start:.3f}\t{token.end:.3f}\t{text}\t{token.probability:.4f}\t{number}"
            )
    return "\n".join(lines) + "\n"


def _eaf(
    transcript: Transcript, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    reading = ElanReading.of_letters(transcript)
    return render_eaf(reading, elan, transcript.warnings, source, directory)


WRITERS: dict[str, Writer] = {
    "txt": _txt,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "eaf": _eaf,
}


# --- helpers of the formats --------------------------------------------------------------------


def _cues(transcript: Transcript) -> list[tuple[int, int, str]]:
    """Start and end in ms and text, one a word."""
    words = split_words(transcript)
    times = to_milliseconds(
        [(word.tokens[0].start, word.tokens[-1].end) for word in words], SHORTEST_CUE
    )
    # A line end in a cue's text could end the cue.
    texts = [escape(" ".join(word.text.split())) for word in words]
    return [(*span, text) for span, text in zip(times, texts, strict=True)]


def _clock(milliseconds: int, decimal: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal}{fraction:03d}"


def _escape_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(value: Any) -> Any:
    """``value`` in the types that JSON has; NaN and infinity become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
