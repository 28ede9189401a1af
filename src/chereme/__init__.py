"""chereme reads signing from video.

>>> import chereme
>>> recognizer = chereme.load("fingerspelling")
>>> recognizer.recognize("clip.mp4").text  # doctest: +SKIP
'hello'

Importing this module is cheap: everything heavy is imported when it is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chereme._version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from chereme.recognition.continuous import ContinuousRecognizer
    from chereme.recognition.fingerspelling import Recognizer
    from chereme.recognition.isolated import IsolatedRecognizer
    from chereme.types import ContinuousResult, IsolatedResult, Transcript

# Nothing leaves the machine. These libraries report how they are used, and write down who they are
# for it, unless they are told not to before they are imported, all of which happens after this.
os.environ |= {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, from 1.29 on
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, transformers, diffusers
    "RAY_USAGE_STATS_ENABLED": "0",
}

__all__ = [
    "ContinuousResult",
    "IsolatedResult",
    "Transcript",
    "__version__",
    "load",
    "recognize",
]


def load(
    model: str | Path = "fingerspelling", **options: Any
) -> Recognizer | IsolatedRecognizer | ContinuousRecognizer:
    """A recogniser with the bundled model of that name, or with the bundle in that folder or at
    that address of a hub (``hf://owner/name@revision``).

    What it recognises is what the model is for: letters, isolated signs, or continuous signing.

    ``options`` are those of the recogniser, :class:`chereme.recognition.fingerspelling.Recognizer`,
    :class:`chereme.recognition.isolated.IsolatedRecognizer` or
    :class:`chereme.recognition.continuous.ContinuousRecognizer`: ``hand``, ``beam_width``, ``lm``,
    ``mirrored``, ``strict`` and so on; ``threads`` of the networks; and, of models of hands,
    ``stream``: what reads a recording, "landmarks" of the hand, pictures of it ("rgb"), both
    ("fused"), or the bundled model's best ("auto"); a bundle in a folder reads what it was trained
    on. Raises ``UsageError`` if there is no such model or it has no such option or stream,
    ``BundleError`` if it is damaged.
    """
    from chereme.recognition.registry import task_of
    from chereme.recognition.tasks import TASKS

    recognizer: Recognizer = TASKS[task_of(model)].load(model, **options)
    return recognizer


def recognize(
    source: Any, *, model: str | Path = "fingerspelling", **options: Any
) -> Transcript | IsolatedResult | ContinuousResult:
    """Read one video, image, folder of frames or landmark file, or what is in memory of these
    (:func:`chereme.recognition.sources.find_source`); ``options`` are those of `load`.

    For several inputs, :func:`load` once and call ``recognize`` of what it gives.
    """
    return load(model, **options).recognize(source)


def __getattr__(name: str) -> Any:
    # They live in a module that needs numpy, so they too are imported at first use.
    if name in ("Transcript", "IsolatedResult", "ContinuousResult"):
        from chereme import types

        return getattr(types, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
