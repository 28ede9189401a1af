"""What an isolated sign was read as, as text: txt, tsv, json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from chereme.errors import UsageError
from chereme.text.escapes import escape
from chereme.types import IsolatedResult

JSON_SCHEMA_VERSION = 1


def write_glosses(result: IsolatedResult, source: str | Path | None, fmt: str, top: int) -> str:
    """The ``top`` likeliest glosses in a format of :data:`WRITERS`.

    ``source`` is the input that was read. Raises UsageError for another format, or a ``top`` below
    one.
    """
    check_form(fmt)
    if top < 1:
        raise UsageError(f"top: expected 1 gloss or more, got {top}")
    return WRITERS[fmt](result, source, top)


def check_form(fmt: str) -> None:
    """UsageError for a format that ranked glosses are not written in."""
    if fmt not in WRITERS:
        raise UsageError(
            f"format: a single sign is read as ranked glosses, expected {', '.join(WRITERS)}, "
            f"got {fmt!r}"
        )


def _txt(result: IsolatedResult, source: str | Path | None, top: int) -> str:
    """One line a gloss: it and its probability; none where there is no answer."""
    return "".join(f"{escape(g.gloss)}\t{g.probability:.4f}\n" for g in result.answers[:top])


def _tsv(result: IsolatedResult, source: str | Path | None, top: int) -> str:
    """One line a gloss: its rank from 1, it, its probability, start and end in seconds; none
    where there is no answer."""
    lines = ["rank\tgloss\tprobability\tstart\tend"]
    lines += [
        f"{rank}\t{escape(gloss)}\t{probability:.4f}\t{result.start:.3f}\t{result.end:.3f}"
        for rank, (gloss, probability) in enumerate(result.answers[:top], start=1)
    ]
    return "\n".join(lines) + "\n"


def _json(result: IsolatedResult, source: str | Path | None, top: int) -> str:
    document = {
        "schema_version": JSON_SCHEMA_VERSION,
        "source": None if source is None else str(source),
        "text": result.text,
        "glosses": [
            {"gloss": gloss, "probability": round(probability, 6)}
            for gloss, probability in result.glosses[:top]
        ],
        "start": result.start,
        "end": result.end,
        "info": dict(result.info),
        "warnings": list(result.warnings),
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


WRITERS: dict[str, Callable[[IsolatedResult, str | Path | None, int], str]] = {
    "txt": _txt,
    "tsv": _tsv,
    "json": _json,
}
