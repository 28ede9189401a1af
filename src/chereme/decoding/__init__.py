"""From per-frame log-probabilities to symbols."""

from chereme.decoding.beam import beam_search, beam_search_batch
from chereme.decoding.ctc import Hypothesis, Span, align, ctc_log_likelihood, greedy
from chereme.decoding.language_model import LanguageModel, OnnxLanguageModel

__all__ = [
    "Hypothesis",
    "LanguageModel",
    "OnnxLanguageModel",
    "Span",
    "align",
    "beam_search",
    "beam_search_batch",
    "ctc_log_likelihood",
    "greedy",
]
