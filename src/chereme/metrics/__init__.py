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
from chereme.metrics.translation import (
    GlossScores,
    best_score,
    bleu,
    gloss_edits,
    gloss_top_n,
    score_glosses,
    sentence_bleu,
    sentence_top_n,
)

__all__ = [
    "UNRANKED",
    "Alignment",
    "Confusions",
    "EditCounts",
    "GlossScores",
    "TopK",
    "accuracy_interval",
    "best_score",
    "bleu",
    "cer",
    "confusions",
    "edit_counts",
    "edit_pairs",
    "gloss_edits",
    "gloss_top_n",
    "joint_errors",
    "letter_accuracy",
    "pck",
    "pck_auc",
    "pck_auc_interval",
    "pck_interval",
    "pool",
    "ranks",
    "score_glosses",
    "sentence_bleu",
    "sentence_top_n",
    "top_k",
    "top_k_interval",
    "wer",
]
