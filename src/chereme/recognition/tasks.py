"""The tasks that chereme knows, and where the parts of each are. Nothing else tells tasks apart.

To add a task, write its recogniser (``chereme.recognition.isolated`` is an example) and add one
entry to :data:`TASKS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chereme._imports import find
from chereme.errors import UsageError


@dataclass(frozen=True, slots=True)
class Task:
    """A task and its parts, each the place ``module:name`` that is imported when it is needed.

    ``reads``: what is read, in a word or two, for messages. ``config``: the dataclass of the
    bundle's ``config.json``. ``recognizer``: a class with ``load(model, **options)`` and
    ``recognize(source, ...)``, a ``chereme.recognition.recognizer.BaseRecognizer``.
    ``evaluation``: its class of ``chereme.recognition.evaluation.Metrics``. ``exports``: by the
    entry of a checkpoint, the function of the research half that says what is exported of it
    (``chereme.training.export``).
    """

    name: str
    reads: str
    config: str
    recognizer: str
    evaluation: str
    exports: Mapping[str, str] = field(default_factory=dict)

    def load(self, model: str | Path | list[str], **options: Any) -> Any:
        """The task's recogniser with a model; ``UsageError`` for an option that it does not have.

        ``options`` are those of the recogniser class and of its ``load``.
        """
        kind = find(self.recognizer)
        known = option_names(kind)
        if unknown := [name for name in options if name not in known]:
            raise UsageError(
                f"{unknown[0]}: the model {str(model)!r} reads {self.reads} and has no such "
                f"option; expected some of {', '.join(sorted(known))}"
            )
        return kind.load(model, **options)


TASKS = {
    task.name: task
    for task in (
        Task(
            "fingerspelling",
            reads="letters",
            config="chereme.recognition.config:LetterConfig",
            recognizer="chereme.recognition.fingerspelling:Recognizer",
            evaluation="chereme.recognition.fingerspelling_metrics:FingerspellingMetrics",
            exports={"recognizer": "chereme.systems.fingerspelling.export:export_spec"},
        ),
        Task(
            "isolated",
            reads="single signs",
            config="chereme.recognition.config:IsolatedConfig",
            recognizer="chereme.recognition.isolated:IsolatedRecognizer",
            evaluation="chereme.recognition.isolated_metrics:IsolatedMetrics",
            exports={
                "signbert": "chereme.systems.signbert.export:export_spec",
                "hand_aware": "chereme.systems.hand_aware.export:export_spec",
            },
        ),
        Task(
            "continuous",
            reads="continuous signing",
            config="chereme.recognition.config:ContinuousConfig",
            recognizer="chereme.recognition.continuous:ContinuousRecognizer",
            evaluation="chereme.recognition.continuous_metrics:ContinuousMetrics",
            exports={"signx": "chereme.systems.signx.export:export_spec"},
        ),
    )
}


def option_names(recognizer: Any) -> set[str]:
    """The keywords of a recogniser class: of its ``load`` and of the constructors behind it."""
    functions = [
        recognizer.load,
        *(vars(base)["__init__"] for base in recognizer.__mro__ if "__init__" in vars(base)),
    ]
    return {
        parameter.name
        for function in functions
        if function is not object.__init__
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
