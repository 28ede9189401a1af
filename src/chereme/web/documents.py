"""What goes in and out as JSON, as the OpenAPI document describes it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chereme.formats.transcripts import JSON_SCHEMA_VERSION
from chereme.types import (
    Alternative,
    ContinuousResult,
    IsolatedResult,
    Token,
    Transcript,
    Unit,
)

RESULTS: dict[str, type[Transcript]] = {
    kind.unit: kind for kind in (Transcript, IsolatedResult, ContinuousResult)
}
MAX_TOKENS = 100_000
Seconds = Annotated[float | None, Field(ge=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=1000)]


class _Document(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


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
    sha256: str = Field(description="of its config.json")
    licence: dict[str, str] = Field(description="the terms of its code, weights and data")


class Health(_Document):
    """That the server answers."""

    status: Literal["ok"] = "ok"
    version: str
