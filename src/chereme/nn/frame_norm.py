"""Batch normalisation of clips of unequal length: frames that are not there change nothing."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class FrameNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(B, T, C, ...)`` over the frames inside ``mask (B, T)`` alone.

    Frames outside are never read (they may hold NaN) and come out as zeros, so that a convolution
    over time meets there what it meets beyond the ends of a clip.

    A batch with fewer than two values a channel has no statistics to speak of: it is normalised by
    the running ones, which it leaves as they are.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of trailing dimensions."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            frames: Tensor = self._normalise(x.flatten(0, 1))
            return frames.view_as(x)
        if self.training:
            packed = self._normalise(x[mask])
            out = packed.new_zeros(x.shape)
            out[mask] = packed
            return out
        # The same without packing, which an exported network could not do.
        frames = self._normalise(zero_padding(x, mask).flatten(0, 1))
        return zero_padding(frames.view_as(x), mask)

    def _normalise(self, frames: Tensor) -> Tensor:
        if not self.training or frames.numel() >= 2 * self.num_features:
            return super().forward(frames)
        return F.batch_norm(
            frames, self.running_mean, self.running_var, self.weight, self.bias, False, 0, self.eps
        )


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """``x (B, T, ...)`` with zeros in the frames outside ``mask (B, T)``, whatever was there."""
    return x.where(mask.view(*mask.shape, *[1] * (x.ndim - 2)), 0.0)


def stride_mask(mask: Tensor, stride: int) -> Tensor:
    """``(B, T)`` -> ``(B, ceil(T / stride))``: True where any of ``stride`` frames is."""
    out = mask[:, ::stride]
    for later in range(1, stride):  # no padding to a multiple, which an export could not follow
        out = out | F.pad(mask, (0, later))[:, later::stride]
    return out
