"""How far a clip is from the signs that a recogniser was trained on, in its features.

Lee et al. 2018, *A simple unified framework for detecting out-of-distribution samples and
adversarial attacks*, Eqs. 1 and 2: a Gaussian for each class, all of one covariance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHT = 2.0
"""What a clip twice as far from all signs as is usual adds to the logit of other signs. Choice: of
0 to 4 the one that found most real signs out, see docs/own_signs.md."""
FARTHEST = 10.0
"""Usual distances: from here on a clip is as far as can be, lest one number outweigh all others."""
_SHRINKAGE = 0.1  # of the covariance, which few clips tell badly, to its mean variance
_NARROWEST = 0.01  # share of the whole variance that is within classes, at least


class ClassDistances(nn.Module):
    """``means (K, F)``; ``whitening (F, F)``, by which features are brought to unit covariance;
    ``scale``: the usual distance of clips that were not trained on."""

    means: Tensor
    whitening: Tensor
    scale: Tensor

    def __init__(self, means: Tensor, whitening: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("whitening", whitening)
        self.register_buffer("scale", torch.tensor(scale))

    @staticmethod
    def fit(features: Tensor, classes: Tensor) -> ClassDistances:
        """Of the ``features (N, F)`` of clips of ``classes (N,)``, 0 to K - 1, none without one."""
        exact = features.double()
        count = int(classes.max()) + 1
        means = torch.stack([exact[classes == number].mean(0) for number in range(count)])
        within = exact - means[classes]
        covariance = within.T @ within / len(within)
        mean = covariance.trace() / len(covariance)
        # Of one clip a class, or of clips that training has made one point, nothing is within.
        mean = mean.clamp_min(_NARROWEST * float(exact.var(0, correction=0).mean()) + 1e-12)
        covariance = covariance + _SHRINKAGE * mean * torch.eye(len(covariance)).double()
        values, vectors = torch.linalg.eigh(covariance)
        return ClassDistances(means.float(), (vectors / values.sqrt()).float())

    def forward(self, features: Tensor) -> Tensor:
        """``(B, F)`` -> the squared distance to the nearest class ``(B,)``."""
        between = (features.unsqueeze(1) - self.means) @ self.whitening
        return between.square().sum(-1).amin(1)

    def widen(self, logits: Tensor, features: Tensor) -> Tensor:
        """``logits (B, K + 1)``, the last of which, of other signs, knows the distance too."""
        far = WEIGHT * ((self(features) / self.scale).clamp_max(FARTHEST) - 1)
        return torch.cat([logits[:, :-1], logits[:, -1:] + far.unsqueeze(1)], dim=1)
