"""ST-GCN (Yan, Xiong and Lin 2018): graph convolutions over joints, convolutions over time.

Shapes: B sequences, T frames, V joints, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.nn.frame_norm import FrameNorm, stride_mask, zero_padding
from chereme.nn.hand_graph import GraphConvolution, Normalisation


@dataclass(frozen=True)
class StGcnConfig:
    """Sizes of `StGcn`; the defaults are those of the published code.

    ``strides``: over time, one for each of ``channels``. ``kernel``: frames a convolution over time
    sees, odd. ``dropout``: after each of these. ``normalisation``: see
    ``hand_graph.normalised``: "column" is the published code's, "printed" paper B's Eq. 4.
    ``learnable``: the mask M on the connections, of each layer its own.
    """

    channels: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    kernel: int = 9
    dropout: float = 0.0
    normalisation: Normalisation = "column"
    learnable: bool = True


class StGcnLayer(nn.Module):
    """Graph convolution, then a convolution over time, each normalised, beside a shortcut.

    Args:
        shortcut: False: none (the first layer of the network).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        subsets: Tensor,
        config: StGcnConfig,
        *,
        stride: int,
        shortcut: bool,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.graph = GraphConvolution(
            channels_in,
            channels_out,
            subsets,
            normalisation=config.normalisation,
            learnable=config.learnable,
        )
        self.graph_norm = FrameNorm(channels_out)
        self.temporal = nn.Conv2d(
            channels_out,
            channels_out,
            (config.kernel, 1),
            stride=(stride, 1),
            padding=(config.kernel // 2, 0),
        )
        self.temporal_norm = FrameNorm(channels_out)
        self.dropout = nn.Dropout(config.dropout)
        self.has_shortcut = shortcut
        self.project: nn.Conv2d | None = None
        if shortcut and (stride != 1 or channels_in != channels_out):
            self.project = nn.Conv2d(channels_in, channels_out, 1, stride=(stride, 1))
            self.project_norm = FrameNorm(channels_out)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, C, V)``, zero outside ``mask (B, T)`` -> the same of ceil(T / stride) frames."""
        after = stride_mask(mask, self.stride)
        y = self.graph(x.transpose(2, 3)).transpose(2, 3)
        y = self.graph_norm(y, mask).relu()
        y = self.temporal(y.transpose(1, 2)).transpose(1, 2)
        y = self.dropout(self.temporal_norm(y, after))
        if self.project is not None:
            projected = self.project(x.transpose(1, 2)).transpose(1, 2)
            y = y + self.project_norm(projected, after)
        elif self.has_shortcut:
            y = y + x
        return y.relu(), after


class StGcn(nn.Module):
    """Sequences of joints ``(B, T, V, C)`` -> features ``(B, D)``, D the last of the channels.

    The mean is over the joints of all frames that exist; a sequence of none gives zeros.

    Args:
        config: sizes.
        subsets: ``(K, V, V)`` of ``hand_graph.adjacency``.
        channels_in: C, numbers a joint.

    Raises:
        UsageError: an even kernel, or not one stride for each of the channels.
    """

    def __init__(self, config: StGcnConfig, subsets: Tensor, channels_in: int = 3) -> None:
        super().__init__()
        if len(config.channels) != len(config.strides):
            raise UsageError(
                f"strides: expected one for each of {len(config.channels)} layers, got "
                f"{config.strides}"
            )
        if config.kernel % 2 == 0:
            raise UsageError(f"kernel: expected an odd number of frames, got {config.kernel}")
        self.config = config
        self.feature_dim = config.channels[-1]
        self.input_shape = (subsets.shape[-1], channels_in)
        self.input_norm = FrameNorm(subsets.shape[-1] * channels_in)
        before = (channels_in, *config.channels[:-1])
        self.layers = nn.ModuleList(
            StGcnLayer(i, o, subsets, config, stride=stride, shortcut=bool(place))
            for place, (i, o, stride) in enumerate(
                zip(before, config.channels, config.strides, strict=True)
            )
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``mask (B, T)``: the frames that exist; what the others hold is never read."""
        if mask is None:
            mask = x.new_ones(x.shape[:2]).bool()
        x = zero_padding(x, mask)
        x = self.input_norm(x.flatten(2), mask).view(*x.shape[:2], *self.input_shape)
        x = x.transpose(2, 3)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return x.mean(3).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
