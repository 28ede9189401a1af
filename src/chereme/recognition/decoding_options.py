"""The settings of the search: what the user asked for, else what was tuned with each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chereme.decoding import LanguageModel
from chereme.errors import UsageError
from chereme.recognition.config import LANGUAGE_MODEL
from chereme.recognition.ctc_letters import Search
from chereme.recognition.streams import Readers

# Texts that each network puts forward where two decide together, unless a width was asked for.
N_BEST = 10


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What the user asked for; None takes the values tuned with the model."""

    beam_width: int | None = None
    alpha: float | None = None
    beta: float | None = None
    greedy: bool = False
    lm: bool = True

    def __post_init__(self) -> None:
        if self.beam_width is not None and self.beam_width < 1:
            raise UsageError(f"beam width: expected 1 or more, got {self.beam_width}")


def searches_of(readers: Readers, options: SearchOptions) -> list[Search]:
    """How each of the bundles searches."""
    together = len(readers.bundles) > 1
    language_models: dict[str, LanguageModel] = {}
    searches = []
    for bundle in readers.bundles:
        tuned = bundle.config.decoding
        lm = None
        if options.lm and not options.greedy and bundle.language_model is not None:
            # Two bundles may hold the same one: then it is asked once.
            key = bundle.config.files[LANGUAGE_MODEL]
            lm = language_models.setdefault(key, bundle.language_model)
        width = max(N_BEST, tuned.beam_width) if together else tuned.beam_width
        searches.append(
            Search(
                greedy=options.greedy,
                beam_width=width if options.beam_width is None else options.beam_width,
                # Without a language model its weight, and the length bonus tuned with it, mean
                # nothing.
                alpha=_first(options.alpha, tuned.alpha) if lm else 0.0,
                beta=_first(options.beta, tuned.beta if lm else 0.0),
                min_probability=tuned.min_probability,
                language_model=lm,
            )
        )
    return searches


def decoding_info(readers: Readers, options: SearchOptions) -> dict[str, Any]:
    """The settings as they are reported: of two bundles, those of each with its weight."""
    settings = [_settings(search) for search in searches_of(readers, options)]
    if len(settings) == 1:
        return settings[0]
    rows = zip(readers.bundles, readers.weights, settings, strict=True)
    return {
        "method": "rescoring",
        "streams": {b.config.stream: {"weight": weight, **setting} for b, weight, setting in rows},
    }


def _settings(search: Search) -> dict[str, Any]:
    if search.greedy:
        return {"method": "greedy"}
    return {
        "method": "beam",
        "beam_width": search.beam_width,
        "alpha": search.alpha,
        "beta": search.beta,
        "lm": search.language_model is not None,
    }


def _first(value: float | None, default: float) -> float:
    return default if value is None else value
