"""What was read, as text files: txt, json, srt, vtt, tsv, eaf.

Each format is one function ``(transcript, target) -> str`` in the table :data:`WRITERS`, named by
its file extension, that touches no file; saving is a step of its own. It writes the results of all
tasks.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chereme.errors import UsageError
from chereme.formats.eaf_writing import ElanStyle, render_eaf
from chereme.formats.escapes import escape
from chereme.formats.outputs import write_file
from chereme.formats.words import no_times, split_words, to_milliseconds
from chereme.types import Token, Transcript

JSON_SCHEMA_VERSION = 2  # 2: glosses are tokens, hypotheses and ranked glosses are alternatives
SHORTEST_CUE = 500  # ms on screen, where the next word leaves the time
TIMED = ("srt", "vtt", "eaf")  # formats that need times


@dataclass(frozen=True, slots=True)
class Target:
    """What a result is written for.

    ``source``: the input that was read. ``top``: alternatives to give at most; None: all.
    ``directory``: the folder in which an eaf will lie, for the relative path to the video;
    ``elan``: the names of its tiers.
    """

    source: str | Path | None = None
    top: int | None = None
    directory: Path | None = None
    elan: ElanStyle = field(default_factory=ElanStyle)


def write(transcript: Transcript, source: str | Path | None, fmt: str, **target: Any) -> str:
    """Render a result in a format of :data:`WRITERS`; ``target`` are fields of :class:`Target`.

    Raises UsageError for an unknown format, one of times where there are none, or tokens that do
    not spell the text.
    """
    check_format(fmt, timed=all(token.is_timed for token in transcript.tokens))
    return WRITERS[fmt](transcript, Target(source, **target))


def check_format(fmt: str, *, timed: bool = True) -> None:
    """UsageError for an unknown format, or for one of times if the result is not ``timed``."""
    if fmt not in WRITERS:
        raise UsageError(f"format: expected one of {', '.join(WRITERS)}, got {fmt!r}")
    if not timed and fmt in TIMED:
        raise no_times(fmt)


def ranked(transcript: Transcript, top: int | None) -> list[tuple[str, float]]:
    """The ``top`` likeliest answers for a single sign; none where even the likeliest is none."""
    if not transcript.tokens:
        return []
    return [(text, probability or 0.0) for text, probability in transcript.alternatives[:top]]


def one_line(transcript: Transcript, top: int | None = None) -> str:
    """The text on one line; of a single sign the glosses that come first, with tabs between."""
    if transcript.unit == "sign":
        return "\t".join(escape(gloss) for gloss, _ in ranked(transcript, top))
    return escape(transcript.text)


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


def _txt(transcript: Transcript, target: Target) -> str:
    """The text; of a single sign one line a gloss: it and its probability."""
    if transcript.unit == "sign":
        rows = ranked(transcript, target.top)
        return "".join(f"{escape(gloss)}\t{probability:.4f}\n" for gloss, probability in rows)
    return escape(transcript.text) + "\n"


def document(
    transcript: Transcript, source: str | Path | None = None, top: int | None = None
) -> dict[str, Any]:
    """What ``json`` writes of a result, in the types that JSON has (docs/json.md)."""
    found: dict[str, Any] = plain(
        {
            "schema_version": JSON_SCHEMA_VERSION,
            "source": None if source is None else str(source),
            "unit": transcript.unit,
            "text": transcript.text,
            "tokens": transcript.tokens,
            "alternatives": [one._asdict() for one in transcript.alternatives[:top]],
            "info": transcript.info,
            "warnings": transcript.warnings,
        }
    )
    return found


def _json(transcript: Transcript, target: Target) -> str:
    found = document(transcript, target.source, target.top)
    return json.dumps(found, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _srt(transcript: Transcript, target: Target) -> str:
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(_cues(transcript), start=1)
    )


def _vtt(transcript: Transcript, target: Target) -> str:
    cues = "".join(
        f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{_escape_vtt(text)}\n"
        for start, end, text in _cues(transcript)
    )
    return f"WEBVTT\n{cues}"


def _tsv(transcript: Transcript, target: Target) -> str:
    """One line a letter or gloss: start and end in seconds (empty where there are no times), text,
    probability, and the number of its word from 1; of a single sign its rank instead."""
    if transcript.unit == "sign":
        span = _seconds(transcript.tokens[0]) if transcript.tokens else ""
        rows = [
            (span, text, probability, rank)
            for rank, (text, probability) in enumerate(ranked(transcript, target.top), start=1)
        ]
    else:
        rows = [
            (_seconds(token), token.text, token.probability, number)
            for number, word in enumerate(split_words(transcript), start=1)
            for token in word.tokens
        ]
    last = "rank" if transcript.unit == "sign" else "word"
    lines = [f"start\tend\ttext\tprobability\t{last}"]
    lines += [f"{span}\t{escape(text)}\t{p:.4f}\t{number}" for span, text, p, number in rows]
    return "\n".join(lines) + "\n"


def _eaf(transcript: Transcript, target: Target) -> str:
    return render_eaf(transcript, target.elan, target.source, target.directory)


WRITERS: dict[str, Callable[[Transcript, Target], str]] = {
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


def _seconds(token: Token) -> str:
    return f"{token.start:.3f}\t{token.end:.3f}" if token.is_timed else "\t"


def _clock(milliseconds: int, decimal: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal}{fraction:03d}"


def _escape_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(value: Any) -> Any:
    """``value`` in the types that JSON has; NaN and infinity become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
