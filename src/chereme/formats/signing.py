"""What continuous signing was read as, as text files: txt, json, srt, vtt, tsv, eaf."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from chereme.errors import UsageError
from chereme.formats.eaf_writing import ElanReading, ElanStyle, render_eaf
from chereme.formats.transcripts import write
from chereme.text.escapes import escape
from chereme.types import ContinuousResult, Token, Transcript

JSON_SCHEMA_VERSION = 1
UNTIMED = ("txt", "json", "tsv")  # formats that need no times


def write_signing(
    result: ContinuousResult,
    source: str | Path | None,
    fmt: str,
    directory: str | Path | None = None,
    elan: ElanStyle | None = None,
) -> str:
    """Render glosses in a format of :data:`WRITERS`.

    ``source`` is the input that was read. Only eaf asks for ``directory``, the folder the result
    will lie in (for the relative path to the video), and for ``elan``, the names of its tiers.
    Raises UsageError for an unknown format, and for one of times where there are none.
    """
    if fmt not in WRITERS:
        raise UsageError(f"format: expected one of {', '.join(WRITERS)}, got {fmt!r}")
    where = None if directory is None else Path(directory)
    return WRITERS[fmt](result, source, where, elan or ElanStyle())


def _txt(
    result: ContinuousResult, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    return escape(result.text) + "\n"


def _tsv(
    result: ContinuousResult, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    """One line a gloss: start and end in seconds (empty where there are no times), it, and its
    probability."""
    lines = ["start\tend\tgloss\tprobability"]
    for one in result.glosses:
        times = "\t".join("" if time is None else f"{time:.3f}" for time in (one.start, one.end))
        lines.append(f"{times}\t{escape(one.gloss)}\t{one.probability:.4f}")
    return "\n".join(lines) + "\n"


def _json(
    result: ContinuousResult, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    document = {
        "schema_version": JSON_SCHEMA_VERSION,
        "source": None if source is None else str(source),
        "text": result.text,
        "glosses": [
            {
                "gloss": one.gloss,
                "start": None if one.start is None else round(one.start, 4),
                "end": None if one.end is None else round(one.end, 4),
                "probability": round(one.probability, 6),
            }
            for one in result.glosses
        ],
        "hypotheses": [" ".join(glosses) for glosses in result.hypotheses],
        "info": dict(result.info),
        "warnings": list(result.warnings),
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _subtitles(fmt: str) -> _Writer:
    """A gloss is a word of a transcript, so each has a line of its own."""

    def render(
        result: ContinuousResult,
        source: str | Path | None,
        directory: Path | None,
        elan: ElanStyle,
    ) -> str:
        tokens = timed_glosses(result, fmt)
        return write(Transcript(result.text, tokens), source, fmt, directory)

    return render


def _eaf(
    result: ContinuousResult, source: str | Path | None, directory: Path | None, elan: ElanStyle
) -> str:
    reading = ElanReading.of_glosses(timed_glosses(result, "eaf"))
    return render_eaf(reading, elan, result.warnings, source, directory)


def timed_glosses(result: ContinuousResult, fmt: str) -> tuple[Token, ...]:
    """The glosses with their times; UsageError, for ``fmt``, where the model gives none."""
    found = []
    for one in result.glosses:
        if one.start is None or one.end is None:
            raise no_times(fmt)
        found.append(Token(one.gloss, one.start, one.end, one.probability))
    return tuple(found)


def no_times(fmt: str) -> UsageError:
    """Of a format that needs times, where the model gives none."""
    return UsageError(
        f"{fmt} needs times, of which this model says none, as it has no CTC head: "
        f"expected {', '.join(UNTIMED)}"
    )


_Writer = Callable[[ContinuousResult, str | Path | None, Path | None, ElanStyle], str]
WRITERS: dict[str, _Writer] = {
    "txt": _txt,
    "json": _json,
    "srt": _subtitles("srt"),
    "vtt": _subtitles("vtt"),
    "tsv": _tsv,
    "eaf": _eaf,
}
