"""What continuous signing was read as, as text files: txt, json, srt, vtt, tsv, eaf."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from chereme.errors import UsageError
from chereme.formats.eaf import render_gloss_eaf
from chereme.formats.transcripts import write
from chereme.types import ContinuousResult, SignedGloss, Token, Transcript

JSON_SCHEMA_VERSION = 1


def write_signing(
    result: ContinuousResult,
    source: str | Path | None,
    fmt: str,
    directory: str | Path | None = None,
) -> str:
    """Render glosses in a format of :data:`WRITERS`.

    ``source`` is the input that was read; ``directory`` is the folder the result will lie in (only
    eaf asks, for the relative path to the video). Raises UsageError for an unknown format, and for
    one of times where there are none.
    """
    if fmt not in WRITERS:
        raise UsageError(f"format: expected one of {', '.join(WRITERS)}, got {fmt!r}")
    return WRITERS[fmt](result, source, None if directory is None else Path(directory))


def _txt(result: ContinuousResult, source: str | Path | None, directory: Path | None) -> str:
    return result.text + "\n"


def _tsv(result: ContinuousResult, source: str | Path | None, directory: Path | None) -> str:
    """One line a gloss: start and end in seconds (empty where there are no times), it, and its
    probability."""
    lines = ["start\tend\tgloss\tprobability"]
    for one in result.glosses:
        times = "\t".join("" if time is None else f"{time:.3f}" for time in (one.start, one.end))
        lines.append(f"{times}\t{one.gloss}\t{one.probability:.4f}")
    return "\n".join(lines) + "\n"


def _json(result: ContinuousResult, source: str | Path | None, directory: Path | None) -> str:
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

    def render(result: ContinuousResult, source: str | Path | None, directory: Path | None) -> str:
        tokens = tuple(
            Token(one.gloss, start, end, one.probability) for one, start, end in _timed(result, fmt)
        )
        return write(Transcript(result.text, tokens), source, fmt, directory)

    return render


def _eaf(result: ContinuousResult, source: str | Path | None, directory: Path | None) -> str:
    glosses = [(one.gloss, start, end) for one, start, end in _timed(result, "eaf")]
    return render_gloss_eaf(glosses, result.warnings, source, directory)


def _timed(result: ContinuousResult, fmt: str) -> list[tuple[SignedGloss, float, float]]:
    found = []
    for one in result.glosses:
        if one.start is None or one.end is None:
            raise UsageError(
                f"{fmt} needs times, of which this model says none, as it has no CTC head: "
                "expected txt, json or tsv"
            )
        found.append((one, one.start, one.end))
    return found


_Writer = Callable[[ContinuousResult, str | Path | None, Path | None], str]
WRITERS: dict[str, _Writer] = {
    "txt": _txt,
    "json": _json,
    "srt": _subtitles("srt"),
    "vtt": _subtitles("vtt"),
    "tsv": _tsv,
    "eaf": _eaf,
}
