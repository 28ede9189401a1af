"""What reads a recording: landmarks of the hand, pictures of it, or both together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from chereme.errors import BundleError, UsageError
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig, SingleStream
from chereme.recognition.hand_landmarks import is_landmark_file
from chereme.recognition.registry import (
    DEFAULT_STREAM,
    RGB_WEIGHT,
    ReadingStream,
    bundled_streams,
    resolve,
)
from chereme.recognition.sources import Source
from chereme.text.alphabet import Alphabet
from chereme.types import Landmarks

Stream = Literal["auto", "landmarks", "rgb", "fused"]
SINGLE: tuple[SingleStream, ...] = get_args(SingleStream)


@dataclass(frozen=True)
class Readers:
    """The bundles that read one source together, landmarks first, and the ``weights`` of each."""

    stream: ReadingStream
    bundles: tuple[Bundle[LetterConfig], ...]
    weights: tuple[float, ...] = (1.0,)
    warning: str | None = None

    @property
    def name(self) -> str:
        """The model's name; those of both joined by a plus."""
        return "+".join(bundle.config.name for bundle in self.bundles)

    @property
    def sha256(self) -> str:
        """One number that names the model: of two, the SHA-256 of both hashes in a row."""
        hashes = [bundle.sha256 for bundle in self.bundles]
        return (
            hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
        )

    def mean(self, values: Sequence[float]) -> float:
        """The weighted mean of a value of each bundle."""
        return float(np.average(values, weights=self.weights))

    @property
    def info(self) -> dict[str, Any]:
        """What a transcript tells of them."""
        return {
            "stream": self.stream,
            "model": {"name": self.name, "sha256": self.sha256},
            "models": describe(self.bundles),
        }


@dataclass(frozen=True)
class Streams:
    """A model of landmarks, one of pictures, or both, and which ``stream`` is to be read.

    "auto" is what the only bundle reads, or the registry's ``DEFAULT_STREAM`` where there are two.
    ``rgb_weight``: the part of the pictures in "fused", 0 to 1.

    Raises ``UsageError`` if a bundle that ``stream`` needs is not among them, ``BundleError`` if
    they do not belong together.
    """

    bundles: tuple[Bundle[LetterConfig], ...]
    stream: Stream = "auto"
    rgb_weight: float = RGB_WEIGHT

    def __post_init__(self) -> None:
        if self.stream not in get_args(Stream):
            raise UsageError(
                f"stream: expected {', '.join(get_args(Stream)[:-1])} or fused, got {self.stream!r}"
            )
        if not 0 <= self.rgb_weight <= 1:
            raise UsageError(f"weight of the pictures: expected 0 to 1, got {self.rgb_weight}")
        streams = [bundle.config.stream for bundle in self.bundles]
        if sorted(streams) not in (["landmarks"], ["rgb"], ["landmarks", "rgb"]):
            raise BundleError(
                "expected one model, or one of landmarks and one of pictures, got models of: "
                f"{', '.join(bundle.config.input for bundle in self.bundles) or 'nothing'}"
            )
        if missing := [one for one in parts_of(self.stream) if one not in streams]:
            (only,) = self.bundles
            raise UsageError(
                f"the model {only.config.name!r} reads {streams[0]}, but the stream {self.stream} "
                f"needs one that reads {missing[0]}: leave out the stream, or give another model"
            )
        first = self.bundles[0].config
        for other in (bundle.config for bundle in self.bundles[1:]):
            for key in ("task", "alphabet"):
                if getattr(first, key) != getattr(other, key):
                    raise BundleError(
                        f"{first.name} and {other.name} do not belong together: expected the same "
                        f"{key}, got {_short(getattr(first, key))} and "
                        f"{_short(getattr(other, key))}; export them from the same data"
                    )

    @property
    def alphabet(self) -> Alphabet:
        """The symbols that are read; index 0 is the blank."""
        return Alphabet(self.bundles[0].config.alphabet)

    @property
    def for_recordings(self) -> Readers:
        """What reads a recording that holds pictures."""
        if self.stream != "auto":
            return self._readers(self.stream)
        if len(self.bundles) == 1:
            return self._readers(self.bundles[0].config.stream)
        return self._readers(DEFAULT_STREAM)

    def of(self, source: Source) -> Readers:
        """What reads ``source``. Landmarks are read by the model of landmarks, if it is here and
        pictures alone were not asked for."""
        readers = self.for_recordings
        pictures = not (isinstance(source, Landmarks) or is_landmark_file(source))
        vectors = isinstance(source, Landmarks) and source.vectors is not None
        if pictures or (vectors and not any(b.config.input == "rgb" for b in readers.bundles)):
            return readers
        warning = None
        if self.stream == "fused":
            warning = "there are no pictures to read, only landmarks: read with landmarks alone"
        return self.without_pictures(warning) or readers

    def without_pictures(self, warning: str | None) -> Readers | None:
        """What reads in the place of ``for_recordings`` where there are no pictures; None if these
        alone are to be read."""
        by_stream = {bundle.config.stream for bundle in self.bundles}
        if "landmarks" not in by_stream or self.stream == "rgb":
            return None
        return self._readers("landmarks", warning)

    def _readers(self, stream: ReadingStream, warning: str | None = None) -> Readers:
        by_stream = {bundle.config.stream: bundle for bundle in self.bundles}
        chosen = tuple(by_stream[one] for one in SINGLE if one in parts_of(stream))
        weights = (1 - self.rgb_weight, self.rgb_weight) if len(chosen) == 2 else (1.0,)
        return Readers(stream, chosen, weights, warning)


def parts_of(stream: Stream) -> tuple[SingleStream, ...]:
    """The streams whose models ``stream`` needs; "auto" by itself needs none."""
    if stream == "auto":
        return ()
    return SINGLE if stream == "fused" else (stream,)


def load_streams(
    model: str | Path, stream: Stream = "auto", *, threads: int | None = None
) -> Streams:
    """The bundles of a bundled model's name that ``stream`` needs, or the one in a folder.

    Raises ``UsageError`` if there is no such model or it does not read this stream,
    ``BundleError`` if a bundle is missing or damaged.
    """
    names = bundled_streams(model)
    if not names:
        return Streams((Bundle.load(resolve(model), "fingerspelling", threads=threads),), stream)
    # Recordings by the default; landmarks by the model of landmarks, whatever the default.
    needed = parts_of(stream) or {*parts_of(DEFAULT_STREAM), "landmarks"}
    if missing := [one for one in SINGLE if one in needed and one not in names]:
        raise UsageError(
            f"no bundled model {str(model)!r} reads {missing[0]}, which the stream {stream} needs; "
            f"there are models of: {', '.join(names)}"
        )
    chosen = [names[one] for one in SINGLE if one in needed]
    loaded = [Bundle.load(resolve(name), "fingerspelling", threads=threads) for name in chosen]
    return Streams(tuple(loaded), stream)


def describe(bundles: Sequence[Bundle[Any]]) -> list[dict[str, str]]:
    """Input, name and hash of each."""
    return [{"input": b.config.input, "name": b.config.name, "sha256": b.sha256} for b in bundles]


def _short(value: Any) -> str:
    return "".join(value) if isinstance(value, tuple) else str(value)
