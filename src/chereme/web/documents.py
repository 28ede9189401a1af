"""What goes in and out as JSON, as the OpenAPI document describes it."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chereme.formats.transcripts import JSON_SCHEMA_VERSION, WRITERS
from chereme.recognition.report import Hand
from chereme.recognition.streams import Stream
from chereme.recognition.word_lists import MAX_WORDS
from chereme.types import (
    NUM_JOINTS,
    Alternative,
    ContinuousResult,
    IsolatedResult,
    Token,
    Transcript,
    Unit,
)

Format = StrEnum("Format", list(WRITERS))  # type: ignore[misc]
"""Formats of an answer."""
MAX_WORD_BYTES = 4 << 20
RESULTS: dict[str, type[Transcript]] = {
    kind.unit: kind for kind in (Transcript, IsolatedResult, ContinuousResult)
}
MAX_TOKENS = 100_000
Seconds = Annotated[float | None, Field(ge=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=1000)]
Side = Annotated[int, Field(ge=1, le=65535)]
_JOINTS = Field(min_length=NUM_JOINTS, max_length=NUM_JOINTS)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RecognizeForm(BaseModel):
    """An upload, and how it is to be read: the options of `chereme recognize`."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="a video, a picture, or a file of landmarks (.pose, .npz)")
    model: str | None = Field(
        None, description="a name of `GET /v1/models`; without it the first of them"
    )
    stream: Stream = Field("auto", description="what of the hand is read")
    hand: Hand = Field("auto", description="the hand that spells")
    words: str | None = Field(
        None, description="names and words that are expected, one a line", max_length=MAX_WORD_BYTES
    )
    mirrored: bool = Field(False, description="the recording is a mirror image")
    rotate: int | None = Field(
        None, description="degrees clockwise by which to turn the picture: 0, 90, 180, 270"
    )
    top: int = Field(5, ge=1, le=1000, description="glosses to give for an isolated sign")
    format: Format = Field(Format["json"], description="of the answer")

    def options(self) -> dict[str, Any]:
        """The options of the recogniser that differ from its own."""
        words = [line.strip() for line in (self.words or "").splitlines() if line.strip()]
        given = {"words": words, "mirrored": self.mirrored}
        if self.rotate is not None:
            given["rotate"] = self.rotate
        given |= {"stream": self.stream, "hand": self.hand}
        return {name: value for name, value in given.items() if value not in ("auto", [], False)}


class TokenDocument(_Document):
    """A letter or gloss."""

    text: Text
    start: Seconds = Field(None, description="seconds; null where nothing tells times")
    end: Seconds = None
    probability: Probability = 1.0


class AlternativeDocument(_Document):
    """Another text that the recording may show."""

    text: Text
    probability: Probability | None = None


class TranscriptDocument(_Document):
    """What was read, as `chereme recognize --format json` writes it."""

    schema_version: Literal[JSON_SCHEMA_VERSION] = JSON_SCHEMA_VERSION  # type: ignore[valid-type]
    source: Text | None = Field(None, description="the name of the file that was read")
    unit: Unit = Field("letter", description="what a token is")
    text: Annotated[str, Field(max_length=100 * MAX_TOKENS)] = ""
    tokens: Annotated[list[TokenDocument], Field(max_length=MAX_TOKENS)] = []
    alternatives: Annotated[list[AlternativeDocument], Field(max_length=MAX_TOKENS)] = []
    info: dict[str, Any] = {}
    warnings: Annotated[list[Text], Field(max_length=1000)] = []

    def transcript(self) -> Transcript:
        """The object that the writers of ``chereme.formats.transcripts`` take."""
        return RESULTS[self.unit](
            self.text,
            tuple(
                Token(
                    token.text,
                    math.nan if token.start is None else token.start,
                    math.nan if token.end is None else token.end,
                    token.probability,
                )
                for token in self.tokens
            ),
            self.info,
            tuple(self.warnings),
            tuple(Alternative(one.text, one.probability) for one in self.alternatives),
        )


class ModelDocument(_Document):
    """A model that the server has."""

    name: str
    task: str
    unit: Unit = Field(description="what a token of its transcripts is")
    streams: list[str] = Field(description="what of the hand it reads, the default first")
    options: list[str] = Field(description="the fields of a request that it takes")
    live: bool = Field(description="whether it reads streams")
    sha256: str = Field(description="of its config.json")
    licence: dict[str, str] = Field(description="the terms of its code, weights and data")


class StartMessage(_Document):
    """The first message of a stream: how it is to be read."""

    type: Literal["start"]
    model: str | None = None
    stream: Stream | None = None
    hand: Hand | None = None
    words: Annotated[list[Text], Field(max_length=MAX_WORDS)] | None = None
    mirrored: bool = False


class HandMessage(_Document):
    """A hand in a frame: 21 joints in MediaPipe's order, in pixels, z relative to the wrist;
    a joint that was not seen has the confidence 0."""

    handedness: Literal["left", "right"]
    landmarks: Annotated[list[tuple[float, float, float]], _JOINTS]
    confidence: Annotated[list[Probability], _JOINTS] | None = None


class LandmarksMessage(_Document):
    """A frame without its picture."""

    type: Literal["landmarks"]
    timestamp: Annotated[float, Field(ge=0)]
    width: Side
    height: Side
    hands: Annotated[list[HandMessage], Field(max_length=2)]


class FinishMessage(_Document):
    """The last message of a stream: there are no more frames."""

    type: Literal["finish"]


FOLLOWING: TypeAdapter[LandmarksMessage | FinishMessage] = TypeAdapter(
    Annotated[LandmarksMessage | FinishMessage, Field(discriminator="type")]
)
"""What may come as text after a stream's first message."""


class Health(_Document):
    """That the server answers."""

    status: Literal["ok"] = "ok"
    version: str
