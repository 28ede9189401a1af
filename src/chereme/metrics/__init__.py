"""Measures of how well signing was read."""

from chereme.metrics.bootstrap import accuracy_interval
from chereme.metrics.classification import UNRANKED, TopK, ranks, top_k, top_k_interval
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
from chereme.metrics.pose import joint_errors, pck, pck_auc, pck_auc_interval, pck_interval

__all__ = [
    "UNRANKED",
    "Alignment",
    "Confusions",
    "EditCounts",
    "TopK",
    "accuracy_interval",
    "cer",
    "confusions",
    "edit_counts",
    "edit_pairs",
    "joint_errors",
    "letter_accuracy",
    "pck",
    "pck_auc",
    "pck_auc_interval",
    "pck_interval",
    "pool",
    "ranks",
    "top_k",
    "top_k_interval",
    "wer",
]
