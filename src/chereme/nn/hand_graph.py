"""The hand as a graph, its neighbourhoods in subsets, and the convolution over them (ST-GCN: Yan,
Xiong and Lin 2018).

Vertices are joints, by default the 21 of a hand in MediaPipe order. ``A[k, source, target]`` is 1
where ``target`` takes in the features of ``source`` with the weights of subset k.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.hands.skeleton import PARENTS, WRIST

Edge = tuple[int, int]
Partition = Literal["uniform", "distance", "spatial"]
Distances = Literal["bfs", "upstream"]
Normalisation = Literal["column", "symmetric", "printed"]

HAND_JOINTS = len(PARENTS)
# Bones: wrist to the five finger bases, then along each finger.
EDGES: tuple[Edge, ...] = tuple((p, j) for j, p in enumerate(PARENTS) if p >= 0)
# MediaPipe's drawing of the palm: a ring of knuckles instead of bones from the wrist to each.
PALM_EDGES: tuple[Edge, ...] = (
    *((p, j) for p, j in EDGES if p != WRIST or j in (1, 5, 17)),
    *((5, 9), (9, 13), (13, 17)),
)
# Choice: the joints of the same rank on neighbouring fingers. SignBERT (section 3.1) names
# "symmetrical connections" and does not list them; its source for the graph (Cai et al. 2019) means
# joints that correspond to each other and are not physically connected.
SYMMETRIC_EDGES: tuple[Edge, ...] = tuple(
    (finger + rank, finger + rank + 4) for finger in (1, 5, 9, 13) for rank in range(4)
)
# The joints that move together: the palm, then what turns of each finger, thumb first.
CLUSTERS: tuple[tuple[int, ...], ...] = (
    (0, 1, 5, 9, 13, 17),
    *((base + 1, base + 2, base + 3) for base in (1, 5, 9, 13, 17)),
)
# Added to degrees, of which a joint without sources in a subset has none (ST-GCN, section 3.4:
# alpha).
_ALPHA = 1e-3


def adjacency(
    partition: Partition = "spatial",
    *,
    edges: Iterable[Edge] = EDGES,
    symmetric: Iterable[Edge] = (),
    joints: int = HAND_JOINTS,
    centre: int = WRIST,
    distances: Distances = "bfs",
) -> Tensor:
    """``(K, V, V)`` of zeros and ones: each joint and its neighbours, divided into K subsets.

    Args:
        partition: "uniform": one subset. "distance": the joint itself; its neighbours. "spatial"
            (ST-GCN, section 3.3): the joint itself; the neighbours that are farther from the
            centre than it, or as far; those that are nearer.
        edges: physical connections, pairs of joints without direction.
        symmetric: further connections of another kind, such as ``SYMMETRIC_EDGES``. With "spatial"
            they are a subset of their own, the last (as in Cai et al. 2019), else neighbours as
            all others.
        joints: V.
        centre: the joint from which "spatial" measures.
        distances: "bfs": in steps along physical connections. "upstream": as the published code of
            ST-GCN computes them, which counts all joints more than one step away as equally far
            (its issue 367), so that every connection between these falls into the second subset.

    Raises:
        UsageError: an unknown partition or kind of distances.
    """
    physical, extra = _links(edges, joints), _links(symmetric, joints)
    itself = torch.eye(joints, dtype=torch.bool)
    if partition == "uniform":
        subsets = [itself | physical | extra]
    elif partition == "distance":
        subsets = [itself, physical | extra]
    elif partition == "spatial":
        steps = _steps(physical, centre, distances)
        nearer = steps[:, None] < steps[None, :]  # the source than the target
        subsets = [itself, physical & ~nearer, physical & nearer]
        subsets += [extra] if bool(extra.any()) else []
    else:
        raise UsageError(f"partition: expected uniform, distance or spatial, got {partition!r}")
    return torch.stack(subsets).to(torch.get_default_dtype())


def normalised(subsets: Tensor, kind: Normalisation = "column") -> Tensor:
    """Subsets ``(K, V, V)``, weighted or not, scaled by degrees; differentiable.

    Args:
        subsets: of ``adjacency``, or their product with a learnable mask.
        kind: "column": ``A D^-1``, D the number of sources of each target over all subsets, so that
            every target takes a mean over its neighbourhood: what the published code of ST-GCN
            does. "symmetric": ``D_k^-1/2 A_k D_k^-1/2`` (ST-GCN, section 3.4). "printed":
            ``D_k^-1/2 A_k D_k^1/2`` (paper B, Eq. 4, whose second exponent lacks its sign). In
            both the rows of A_k are targets, as it stands left of the joints that it takes in, so
            that D_k is the number of sources of each target in the subset.

    Raises:
        UsageError: an unknown kind.
    """
    if kind == "column":
        degree = subsets.sum((0, 1))
        return subsets / torch.where(degree == 0, torch.ones_like(degree), degree)
    if kind not in ("symmetric", "printed"):
        raise UsageError(f"normalisation: expected column, symmetric or printed, got {kind!r}")
    # A learnable mask may make a sum negative; its root is kept real.
    degree = subsets.sum(1).clamp_min(0.0) + _ALPHA
    of_source = degree**0.5 if kind == "printed" else degree**-0.5
    return of_source[:, :, None] * subsets * degree[:, None, :] ** -0.5


class GraphConvolution(nn.Module):
    """``y_w = sum_k sum_v A_k[v, w] W_k x_v + b_k``: each joint takes in its neighbourhood.

    Args:
        channels_in: C.
        channels_out: of the output.
        subsets: ``(K, V, V)`` of ``adjacency``.
        normalisation: see ``normalised``.
        learnable: weigh every connection by an entry of ``mask (K, V, V)``, all ones at first.
            "column" weighs what is normalised already (as the published code does), the other kinds
            normalise what is weighed (as paper B prints).
    """

    subsets: Tensor  # (K, V, V)

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        subsets: Tensor,
        *,
        normalisation: Normalisation = "column",
        learnable: bool = False,
    ) -> None:
        super().__init__()
        self.normalisation: Normalisation = normalisation
        fixed = normalised(subsets, normalisation) if normalisation == "column" else subsets
        self.register_buffer("subsets", fixed, persistent=False)
        self.mask = nn.Parameter(torch.ones_like(subsets)) if learnable else None
        self.weights = nn.Linear(channels_in, len(subsets) * channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., V, C)`` -> ``(..., V, channels_out)``."""
        graph = self.subsets if self.mask is None else self.subsets * self.mask
        if self.normalisation != "column":
            graph = normalised(graph, self.normalisation)
        # One product over sources and subsets at once, v before k as the linear layer leaves them.
        values: Tensor = self.weights(x)
        values = values.reshape(*x.shape[:-2], x.shape[-2] * len(graph), -1)  # (..., V K, C')
        return graph.permute(2, 1, 0).flatten(1) @ values


def _links(edges: Iterable[Edge], joints: int) -> Tensor:
    """``(V, V)`` bool, both directions of each edge."""
    links = torch.zeros(joints, joints, dtype=torch.bool)
    for a, b in edges:
        links[a, b] = links[b, a] = True
    return links


def _steps(links: Tensor, centre: int, distances: Distances) -> Tensor:
    """``(V,)`` steps of each joint from the centre; infinity where there is no way."""
    if distances not in ("bfs", "upstream"):
        raise UsageError(f"distances: expected bfs or upstream, got {distances!r}")
    joints = len(links)
    steps = torch.full((joints,), math.inf)
    reached = torch.zeros(joints, dtype=torch.bool)
    reached[centre] = True
    limit = 1 if distances == "upstream" else joints - 1
    for step in range(limit + 1):
        steps[reached & steps.isinf()] = step
        reached = reached | links[reached].any(0)
    return steps
