"""A transcript as the body of an answer."""

from __future__ import annotations

from pathlib import Path

from chereme.formats.transcripts import write
from chereme.types import Transcript


def render(transcript: Transcript, name: str | None, form: str, top: int | None = None) -> bytes:
    """``transcript`` in a format of ``chereme.formats.transcripts.WRITERS``, with the ``name`` of
    the file that was read; errors as of ``chereme.formats.transcripts.write``."""
    # ELAN looks for the video beside its own file too. Where that will be, only the client knows,
    # and where the server stands, nobody has to.
    source = Path("/", name) if name and form == "eaf" else name
    text = write(transcript, source, form, top=top if transcript.unit == "sign" else None)
    return text.encode("utf-8", "replace")
