"""How well a pre-trained SignBERT restores joints: Tables 1 and 2 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from chereme.datasets.pose_clips import Entry
from chereme.metrics import joint_errors, pck, pck_auc, pck_auc_interval, pck_interval
from chereme.systems.signbert.data import PoseBatch
from chereme.systems.signbert.recognizer import PretrainingOutput, SignBertPretraining
from chereme.systems.signbert.tokens import to_pixels

_MASKS = 1 << 40  # keeps the seeds of masks of dev and test apart from those of training


class Reconstructed(NamedTuple):
    """Of a batch: ``l_rec`` a chosen token, the number of these, the errors ``(N, 21)`` of input
    and output in pixels of crops of 256 x 256, of the N tokens in which a hand was seen, the clip
    of each, which joints were masked, ``(N, 21)`` bool, and by what ``(N, 1)`` a pixel of the crop
    is to be multiplied to be one of the picture. A joint that was masked with zeros was not
    predicted by the input: its error is infinite."""

    l_rec: float
    chosen: int
    inputs: np.ndarray
    found: np.ndarray
    clips: tuple[str, ...]
    masked: np.ndarray
    pixel: np.ndarray


def reconstruct(model: SignBertPretraining, batch: PoseBatch, index: int) -> Reconstructed:
    """Mask a batch and restore it; ``index`` of the batch says with which masks, always the same
    ones. The joints that were given count as the truth."""
    generator = torch.Generator().manual_seed(_MASKS + index)
    with torch.no_grad():
        out: PretrainingOutput = model(batch.poses, generator)
    tokens, seen = out.tokens, out.masked.tokens.seen
    truth = to_pixels(tokens.joints).masked_fill(~tokens.seen[..., None], float("nan"))
    inputs = to_pixels(out.masked.tokens.joints).masked_fill(~seen[..., None], float("nan"))
    errors = [
        joint_errors(*(x[tokens.present].float().cpu().numpy() for x in (found, truth)))
        for found in (inputs, to_pixels(out.decoded.joints))
    ]
    clips = tuple(batch.ids[row] for row in tokens.present.nonzero()[:, 0].tolist())
    chosen = int(out.masked.chosen.sum())
    # Both zeroed and disturbed: no joint stays where it was by chance.
    moved = (out.masked.tokens.joints != tokens.joints).any(-1) | ~seen
    masked = (moved & tokens.seen)[tokens.present].cpu().numpy()
    pixel = (tokens.half / to_pixels(tokens.half.new_zeros(()))).expand(tokens.present.shape)
    return Reconstructed(
        float(out.losses.l_rec),
        chosen,
        errors[0],
        errors[1],
        clips,
        masked,
        pixel[tokens.present].unsqueeze(-1).cpu().numpy(),
    )


def reconstruction_figures(val_outputs: Sequence[Reconstructed]) -> dict[str, float | None]:
    """``l_rec`` of a chosen token, PCK at 20 pixels and the area under it from 20 to 40 of all
    batches together, of input and output, and ``masked_`` the same of the masked joints alone; None
    where there is no such joint in any. Choice: pixels of the crop, as the disturbances that fit
    Table 1 are; ``picture_`` has pixels of the picture, as the data sets label them."""
    chosen = sum(batch.chosen for batch in val_outputs)
    l_rec = sum(batch.l_rec * batch.chosen for batch in val_outputs) / max(chosen, 1)
    scores: dict[str, float | None] = {"l_rec": l_rec}
    for name, errors in _errors(val_outputs).items():
        known = not np.isnan(errors).all()
        scores[f"{name}pck20"] = pck(errors) if known else None
        scores[f"{name}auc"] = pck_auc(errors) if known else None
    return scores


def _errors(val_outputs: Sequence[Reconstructed]) -> dict[str, np.ndarray]:
    """Of input and output: all joints, these in the picture, and, NaN elsewhere, masked ones."""
    masked = np.concatenate([batch.masked for batch in val_outputs])
    every = {
        "input_": np.concatenate([batch.inputs for batch in val_outputs]),
        "": np.concatenate([batch.found for batch in val_outputs]),
    }
    pixel = np.concatenate([batch.pixel for batch in val_outputs])
    picture = {f"picture_{name}": pixel * e for name, e in every.items()}
    alone = {f"masked_{name}": np.where(masked, e, np.nan) for name, e in every.items()}
    return every | picture | alone


def reconstruction_scores(
    val_outputs: Sequence[Reconstructed], entries: Sequence[Entry]
) -> dict[str, Any]:
    """``reconstruction_figures`` with 95 % intervals of the output's. ``entries``: of the clips.
    Clips of a signer resemble each other: whole signers are drawn, where they are known."""
    signers = {entry.id: entry.signer or entry.id for entry in entries}
    groups = [signers[clip] for batch in val_outputs for clip in batch.clips]
    result: dict[str, Any] = {
        "clips": len(entries),
        "tokens": len(groups),
        "signers": len({entry.signer for entry in entries} - {""}),
    }
    for name, value in reconstruction_figures(val_outputs).items():
        result[name] = round(value, 4) if isinstance(value, float) else value
    errors = _errors(val_outputs)
    for part in ("", "masked_"):
        if np.isnan(errors[part]).all():
            continue
        for name, interval in (("pck20", pck_interval), ("auc", pck_auc_interval)):
            bounds = interval(errors[part], groups=groups)
            result[f"{part}{name}_interval"] = [round(bound, 2) for bound in bounds]
    return result
