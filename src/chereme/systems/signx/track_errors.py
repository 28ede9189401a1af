"""How far predicted pose tracks are from the true ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from chereme.systems.signx.data import SentenceBatch
from chereme.systems.signx.track_augmentation import GEOMETRY, PARTS

NEAR = 0.05  # of the picture's side: a point that is as near as that is taken for right


class TrackErrors:
    """Errors over all numbers that are known in the frames of the tracks that are there.

    Args:
        spread: of each number of a track ``(W,)`` in the training data.
    """

    def __init__(self, spread: Mapping[str, Tensor]) -> None:
        self._spread = dict(spread)
        self._squares = {name: torch.zeros_like(std, dtype=torch.double) for name, std in
                         spread.items()}  # fmt: skip
        self._counts = {name: torch.zeros_like(s) for name, s in self._squares.items()}
        self._away = {name: self._no_points(name) for name in spread}
        self._near = {name: self._no_points(name) for name in spread}
        self._points = {name: self._no_points(name) for name in spread}

    def _no_points(self, name: str) -> Tensor:
        count = len(GEOMETRY[name].x) if name in GEOMETRY else 0
        return torch.zeros(count, dtype=torch.double)

    def add(self, predicted: Mapping[str, Tensor], batch: SentenceBatch) -> None:
        """Count a batch; ``predicted (B, T, W)`` by name."""
        for name, track in batch.tracks.items():
            there = batch.present[name].unsqueeze(-1) & track.isfinite()
            away = torch.where(there, predicted[name] - track, 0.0).flatten(0, 1).double().cpu()
            known = there.flatten(0, 1).cpu()
            std = self._spread[name].cpu().double()
            self._squares[name] += (away / std).square().sum(0).to(self._squares[name])
            self._counts[name] += known.sum(0).to(self._counts[name])
            if name in GEOMETRY:
                geometry = GEOMETRY[name]
                x, y = torch.from_numpy(geometry.x), torch.from_numpy(geometry.y)
                seen = known[:, x] & known[:, y]
                far = torch.hypot(away[:, x] / geometry.width, away[:, y] / geometry.height)
                self._away[name] += torch.where(seen, far, 0.0).sum(0)
                self._near[name] += (seen & (far <= NEAR)).sum(0)
                self._points[name] += seen.sum(0)

    @property
    def loss(self) -> float:
        """Eq. 13, as `Video2Gloss.reconstruction_loss` has it, over all that was counted."""
        return sum(
            float(squares.sum() / self._counts[name].sum().clamp_min(1))
            for name, squares in self._squares.items()
        )

    def figures(self) -> dict[str, float]:
        """By track and part: ``spread``, the root of the mean squared error in units of the spread
        of each number; of places, ``distance``, the mean distance in per cent of the picture's
        sides, and ``pck``, the percentage that is within `NEAR` of them."""
        found = {}
        for name, squares in self._squares.items():
            for part, (first, last) in PARTS.get(name, {"all": (0, len(squares))}).items():
                columns = slice(first, last)
                count = self._counts[name][columns].sum().clamp_min(1)
                key = f"{name}_{part}"
                found[f"{key}_spread"] = float((squares[columns].sum() / count).sqrt())
                if name in GEOMETRY:
                    x = torch.from_numpy(GEOMETRY[name].x)
                    own = (x >= first) & (x < last)
                    points = self._points[name][own].sum().clamp_min(1)
                    found[f"{key}_distance"] = float(100 * self._away[name][own].sum() / points)
                    found[f"{key}_pck"] = float(100 * self._near[name][own].sum() / points)
        return found
