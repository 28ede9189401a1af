"""The table of models that come with chereme, and the stream that is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chereme.errors import BundleError, UsageError
from chereme.recognition import hub
from chereme.recognition.bundle import PICKLE_SUFFIXES, read_config
from chereme.recognition.config import STREAM_OF, Input, SingleStream

ReadingStream = Literal["landmarks", "rgb", "fused"]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
DEFAULT = "fingerspelling"
DEFAULT_STREAM: ReadingStream = "fused"
"""What reads a recording unless a stream is asked for: the best on people not trained on."""
RGB_WEIGHT = 0.5
"""The part of the pictures in the stream "fused"; the rest is the landmarks'."""


@dataclass(frozen=True, slots=True)
class Model:
    """A bundled model. Its terms, its training data and its scores stand in its bundle.

    ``name`` is also its folder; models of one ``family`` read the same from another ``input``,
    which is that of its config.
    """

    name: str
    family: str
    task: str
    input: Input
    summary: str

    @property
    def directory(self) -> Path:
        """The folder of the bundle."""
        return WEIGHTS / self.name

    @property
    def stream(self) -> SingleStream:
        """What of a recording it reads."""
        return STREAM_OF[self.input]


_SPELLING = "continuous one-handed ASL fingerspelling, from {}, to letters"
MODELS = {
    model.name: model
    for model in (
        Model(
            "fingerspelling",
            "fingerspelling",
            "fingerspelling",
            "landmarks",
            _SPELLING.format("hand landmarks"),
        ),
        Model(
            "fingerspelling_rgb",
            "fingerspelling",
            "fingerspelling",
            "hand",
            _SPELLING.format("pictures of the hand"),
        ),
        Model(
            "fingerspelled_letters",
            "fingerspelled_letters",
            "isolated",
            "landmarks",
            "one letter or digit of ASL fingerspelling a clip, from hand landmarks, ranked",
        ),
        Model(
            "signs",
            "signs",
            "isolated",
            "landmarks",
            "one of 24 ASL signs a clip, from hand landmarks, ranked",
        ),
    )
}


def resolve(model: str | Path) -> Path:
    """The folder of a bundled model's name, or of a bundle given by its path or its address on a
    hub (:func:`chereme.recognition.hub.fetch`, the one thing here that may use the network).

    ``UsageError`` for a name that is none of them; ``BundleError`` for a model that is absent.
    """
    if str(model).startswith(hub.PREFIX):
        return hub.fetch(str(model))
    if str(model) in MODELS:
        directory = MODELS[str(model)].directory
        if not directory.is_dir():
            raise BundleError(
                f"the weights of {str(model)!r} are missing: expected the folder {directory}; "
                "install chereme again"
            )
        return directory
    path = Path(model)
    # A checkpoint goes on to the bundle reader, which says why it is refused.
    if path.is_dir() or (path.exists() and path.suffix.lower() in PICKLE_SUFFIXES):
        return path
    raise UsageError(
        f"no model {str(model)!r}: expected one of {', '.join(MODELS)}, the folder of a bundle, "
        f"or {hub.PREFIX}owner/name"
    )


def task_of(model: str | Path) -> str:
    """What a bundled model, or the bundle in a folder, is for; errors as of :func:`resolve`."""
    task: str = read_config(resolve(model))[0].task
    return task


def bundled_streams(family: str | Path) -> dict[SingleStream, str]:
    """The bundled models of a family by their stream; none if there is no such family."""
    return {model.stream: model.name for model in MODELS.values() if model.family == str(family)}


def family_for(task: str) -> str:
    """The first family of bundled models for ``task``; ``UsageError`` if there is none."""
    for model in MODELS.values():
        if model.task == task:
            return model.family
    known = ", ".join(sorted({model.task for model in MODELS.values()}))
    raise UsageError(
        f"no bundled model is for {task} (there are models for: {known}); give one with --model DIR"
    )
