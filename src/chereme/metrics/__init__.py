"""Measures of how well signing was read."""

from chereme.metrics.bootstrap import accuracy_interval
from chereme.metrics.confusion import Confusions, confusions
from chereme.metrics.edits import (
    Alignment,
    EditCounts,
    cer,
    edit_counts,
    edit_pairs,
    letter_accuracy,
    pool,
    wer,
)

__all__ = [
    "Alignment",
    "Confusions",
    "EditCounts",
    "accuracy_interval",
    "cer",
    "confusions",
    "edit_counts",
    "edit_pairs",
    "letter_accuracy",
    "pool",
    "wer",
]
