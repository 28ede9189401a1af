"""Gesture state embedding: graph convolutions on the joints of each hand (section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.nn.hand_graph import (
    CLUSTERS,
    SYMMETRIC_EDGES,
    GraphConvolution,
    Partition,
    adjacency,
)
from chereme.nn.masking import MaskedBatchNorm

_PALM, *_FINGERS = range(len(CLUSTERS))
# The hand of palm and fingers: the palm joined to each finger, neighbouring fingers symmetrically.
_CLUSTER_EDGES = tuple((_PALM, finger) for finger in _FINGERS)
_CLUSTER_SYMMETRY = tuple((finger, finger + 1) for finger in _FINGERS[:-1])


@dataclass(frozen=True)
class GestureConfig:
    """Sizes of `GestureEmbedding`. The paper gives none.

    ``widths``: channels of the layers on 21 joints; the layer on palm and fingers has the width of
    the embedding. ``symmetric``: use the symmetrical connections. ``seen_channel``: a third input
    beside x and y that is 1 where the joint was seen. Choice: the paper's input is x and y alone,
    and zero for what is missing; zero is also a place in the crop. ``last``: how palm and fingers
    become one vector, pooled as joints are, or "joined", side by side. Choice: pooled, as the paper
    says; joined, places are restored in about half as many steps (docs/papers/signbert.md).
    """

    widths: tuple[int, ...] = (48, 96)
    partition: Partition = "spatial"
    symmetric: bool = True
    pooling: Literal["max", "mean"] = "max"
    seen_channel: bool = True
    last: Literal["pooled", "joined"] = "pooled"


class GraphLayer(nn.Module):
    """Graph convolution, batch normalisation and ReLU, with a residual where the width is kept."""

    def __init__(self, width_in: int, width: int, subsets: Tensor) -> None:
        super().__init__()
        self.convolution = GraphConvolution(width_in, width, subsets)
        self.norm = MaskedBatchNorm(width)
        self.keeps = width_in == width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(N, V, C)`` and ``mask (N,)``, False for padding -> ``(N, V, width)``."""
        y: Tensor = self.convolution(x)
        # Statistics that are fixed need no mask (and boolean indexing would not export).
        inside = mask[:, None].expand(y.shape[:2]) if self.training else None
        y = self.norm(y, inside)
        return (y + x).relu() if self.keeps else y.relu()


class GestureEmbedding(nn.Module):
    """Joints of one hand in one frame -> ``f_p``, frame by frame.

    Graph convolutions on the 21 joints, pooling of the joints that move together into palm and five
    fingers, a graph convolution on these, their pooling into one vector (or all of them side by
    side), and a linear layer.
    Choice: the paper pools "based on neighbors" and says no more.
    """

    def __init__(self, config: GestureConfig, dim: int) -> None:
        super().__init__()
        if config.pooling not in ("max", "mean"):
            raise UsageError(f"pooling: expected max or mean, got {config.pooling!r}")
        if config.last not in ("pooled", "joined"):
            raise UsageError(f"last: expected pooled or joined, got {config.last!r}")
        self.config = config
        fine = adjacency(config.partition, symmetric=SYMMETRIC_EDGES if config.symmetric else ())
        coarse = adjacency(
            config.partition,
            edges=_CLUSTER_EDGES,
            symmetric=_CLUSTER_SYMMETRY if config.symmetric else (),
            joints=len(CLUSTERS),
            centre=_PALM,
        )
        sizes = (3 if config.seen_channel else 2, *config.widths)
        self.joint_layers = nn.ModuleList(GraphLayer(a, b, fine) for a, b in pairwise(sizes))
        self.cluster_layer = GraphLayer(sizes[-1], dim, coarse)
        parts = len(CLUSTERS) if config.last == "joined" else 1
        self.output = nn.Linear(parts * dim, dim)

    def forward(self, joints: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """``joints (..., 21, 2)``, ``seen (..., 21)`` and ``mask (...)``, False for padding ->
        ``(..., dim)``, which outside the mask may be anything."""
        x = joints
        if self.config.seen_channel:
            x = torch.cat([x, seen.unsqueeze(-1).to(x.dtype)], dim=-1)
        x, flat = x.flatten(0, -3), mask.flatten()
        for layer in self.joint_layers:
            x = layer(x, flat)
        x = torch.stack([self._pool(x[:, list(members)]) for members in CLUSTERS], dim=1)
        x = self.cluster_layer(x, flat)
        out: Tensor = self.output(x.flatten(1) if self.config.last == "joined" else self._pool(x))
        return out.reshape(*joints.shape[:-2], -1)

    def _pool(self, x: Tensor) -> Tensor:
        """``(N, V, C)`` -> ``(N, C)``."""
        return x.amax(1) if self.config.pooling == "max" else x.mean(1)
