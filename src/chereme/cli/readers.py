"""What ``chereme recognize`` reads with: the recogniser of each task, and how results are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chereme.cli import options
from chereme.cli.console import ProgressBar
from chereme.errors import UsageError
from chereme.text.escapes import escape

if TYPE_CHECKING:
    from chereme.formats.eaf_writing import ElanReading, ElanStyle


class Reader(Protocol):
    """What a task reads, and how that is told."""

    spelled: bool  # letters are read, not glosses

    @property
    def forms(self) -> Sequence[str]:
        """The formats that its results are written in."""

    def check_form(self, form: str) -> None:
        """UsageError for another format."""

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        """What ``source`` shows."""

    def text(self, result: Any, *, several: bool) -> str:
        """What is printed of one of ``several`` inputs, or of the only one."""

    def document(
        self, result: Any, source: Path, form: str, folder: Path | None, style: ElanStyle
    ) -> str:
        """What is written in a format, to a file in ``folder``."""

    def elan(self, result: Any) -> ElanReading:
        """What is annotated in ELAN; UsageError where there is nothing to annotate with."""


class Letters:
    """Fingerspelling."""

    spelled = True

    def __init__(
        self, model: str, stream: options.Stream, threads: int | None, settings: dict[str, Any]
    ) -> None:
        from chereme.formats.transcripts import WRITERS
        from chereme.recognition.fingerspelling import Recognizer
        from chereme.recognition.streams import load_streams

        streams = load_streams(model, stream.value, threads=threads)
        self.recognizer, self.forms = Recognizer(streams, **settings), tuple(WRITERS)

    def check_form(self, form: str) -> None:
        pass

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress, overlay=film)

    def text(self, result: Any, *, several: bool) -> str:
        return escape(result.text)

    def document(
        self, result: Any, source: Path, form: str, folder: Path | None, style: ElanStyle
    ) -> str:
        from chereme.formats.transcripts import write

        return write(result, source, form, folder, style)

    def elan(self, result: Any) -> ElanReading:
        from chereme.formats.eaf_writing import ElanReading

        return ElanReading.of_letters(result)


class Signs:
    """Isolated signs."""

    spelled = False

    def __init__(
        self,
        model: str,
        stream: options.Stream,
        threads: int | None,
        settings: dict[str, Any],
        top: int,
    ) -> None:
        from chereme.formats.glosses import WRITERS
        from chereme.recognition.isolated import IsolatedRecognizer, load_isolated

        bundle = load_isolated(model, stream.value, threads=threads)
        self.recognizer = IsolatedRecognizer(bundle, **settings)
        self.forms, self.top = tuple(WRITERS), top

    def check_form(self, form: str) -> None:
        from chereme.formats.glosses import check_form

        check_form(form)

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress)

    def text(self, result: Any, *, several: bool) -> str:
        from chereme.formats.glosses import write_glosses

        if several:
            return "\t".join(escape(gloss) for gloss, _ in result.answers[: self.top])
        return write_glosses(result, None, "txt", self.top).rstrip("\n")

    def document(
        self, result: Any, source: Path, form: str, folder: Path | None, style: ElanStyle
    ) -> str:
        from chereme.formats.glosses import write_glosses

        return write_glosses(result, source, form, self.top)

    def elan(self, result: Any) -> ElanReading:
        raise UsageError("a single sign is ranked glosses, which ELAN has no tiers for")


class Signing:
    """Continuous signing."""

    spelled = False

    def __init__(self, model: str, threads: int | None, settings: dict[str, Any]) -> None:
        from chereme.formats.signing import UNTIMED, WRITERS
        from chereme.recognition.continuous import ContinuousRecognizer, load_continuous

        bundle = load_continuous(model, threads=threads)
        self.recognizer = ContinuousRecognizer(bundle, **settings)
        self.forms = tuple(WRITERS) if "ctc" in bundle.config.readers else UNTIMED

    def check_form(self, form: str) -> None:
        from chereme.formats.signing import no_times

        if form not in self.forms:
            raise no_times(form)

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress)

    def text(self, result: Any, *, several: bool) -> str:
        return escape(result.text)

    def document(
        self, result: Any, source: Path, form: str, folder: Path | None, style: ElanStyle
    ) -> str:
        from chereme.formats.signing import write_signing

        return write_signing(result, source, form, folder, style)

    def elan(self, result: Any) -> ElanReading:
        from chereme.formats.eaf_writing import ElanReading
        from chereme.formats.signing import timed_glosses

        return ElanReading.of_glosses(timed_glosses(result, "eaf"))
