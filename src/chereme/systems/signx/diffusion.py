"""Inverse diffusion over the latent sequence (Eq. 4 and 8).

Shapes: B clips, T frames, D = width of the latent. A level of noise is a number from 0 (none) to
``levels``; level l has ``alphas[l]``, the paper's alpha_t, which Ho et al. (2020) write with a bar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from chereme._imports import require
from chereme.errors import UsageError
from chereme.nn.frame_norm import stride_mask, zero_padding
from chereme.nn.positions import temporal_embedding
from chereme.systems.signx.layers import Block


@dataclass(frozen=True)
class DiffusionConfig:
    """The paper says DDPM and U-Net (Figure 2: "transformer"), and gives no number.

    ``enabled``: False: the decoder reads z_0 as it is, and there is no denoiser.

    ``schedule``: how noise grows over the ``levels``, a name of diffusers (linear: Ho et al. 2020).

    ``start``, ``steps``: the inverse process goes from level ``start`` to 0 in so many calls of the
    denoiser; start 0 returns its input. Choice: a tenth of the levels. The paper recovers "from
    random noise" (start = levels), but its denoiser sees nothing but z_t (Eq. 8), so nothing of the
    signing would be left.

    ``noise``: when z_0 is brought to level ``start`` by Eq. 4 with noise; else with noise of value
    0. Choice: in "training" alone, so that the same video gives the same glosses; "always" is the
    paper's.

    ``eta``: new noise on the way, 0 none (DDIM, Song et al. 2021) to 1 (DDPM's variance).

    ``joint``: whether Eq. 8 trains the encoder too. Choice: no; the easiest z_0 to tell from noise
    is the same for every sign.

    ``dim``, ``halvings``, ``heads``, ``dropout``: of `Denoiser`.
    """

    enabled: bool = True
    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] = "linear"
    levels: int = 1000
    start: int = 100
    steps: int = 2
    noise: Literal["training", "always", "never"] = "training"
    eta: float = 0.0
    joint: bool = False
    dim: int = 512
    halvings: int = 2
    heads: int = 8
    dropout: float = 0.1


class Noised(NamedTuple):
    """What Eq. 8 compares, ``(B, T, D)`` each: the noise and the denoiser's prediction of it."""

    noise: Tensor
    predicted: Tensor


def noise_levels(config: DiffusionConfig) -> Tensor:
    """``alphas (levels + 1,)`` of level 0, 1, ...: 1 and the products of ``1 - beta``.

    Raises:
        UsageError: an unknown schedule.
    """
    ddpm: Any = require("diffusers.schedulers.scheduling_ddpm", extra="train")
    try:
        scheduler = ddpm.DDPMScheduler(config.levels, beta_schedule=config.schedule)
    except NotImplementedError as error:
        raise UsageError(
            "schedule: expected linear, scaled_linear, squaredcos_cap_v2 or sigmoid, got "
            f"{config.schedule!r}"
        ) from error
    cumulated: Tensor = scheduler.alphas_cumprod.double()
    return torch.cat([cumulated.new_ones(1), cumulated])


class Denoiser(nn.Module):
    """``eps_theta(z_t, t)``: a U-Net over time whose blocks are Transformer layers.

    Choice: this is both of what the paper names, "UNet backbone" (section 3.2) and "inverse
    diffusion transformer" (Figure 2). Each halving joins two frames into one; on the way back
    frames are doubled and what was seen on the way down is added. The level is a sum of sines, two
    layers, added to every frame at each stage. White noise of D numbers does not pass through
    ``dim``: beside the U-Net, z_t has a linear path of its own, scaled by the level.
    """

    def __init__(self, config: DiffusionConfig, latent: int) -> None:
        super().__init__()
        if config.dim % 2:
            raise UsageError(f"dim of the denoiser: expected an even number, got {config.dim}")
        dim, stages = config.dim, range(config.halvings)

        def block() -> Block:
            return Block(dim, config.heads, config.dropout)

        self.dim = dim
        self.level = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.enter = nn.Linear(latent, dim)
        self.down = nn.ModuleList(block() for _ in stages)
        self.join = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in stages)
        self.middle = block()
        self.skip = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in stages)
        self.up = nn.ModuleList(block() for _ in stages)
        self.norm = nn.LayerNorm(dim)
        self.leave = nn.Linear(dim, latent)
        self.direct = nn.Linear(latent, latent, bias=False)
        self.gate = nn.Linear(dim, latent)

    def forward(self, z: Tensor, level: Tensor, mask: Tensor) -> Tensor:
        """``z (B, T, D)``, ``level (B,)`` or ``(1,)``, ``mask (B, T)`` -> noise
        ``(B, T, D)``, zero outside the clips."""
        z = zero_padding(z, mask)
        angles = level.to(z.dtype)[:, None] * _frequencies(self.dim, z)
        state = self.level(torch.cat([angles.sin(), angles.cos()], -1)).unsqueeze(1)
        x = self.enter(z) + temporal_embedding(z.shape[1], self.dim, z) + state
        seen = []
        for block, join in zip(self.down, self.join, strict=True):
            x = zero_padding(block(x, mask.unsqueeze(1)), mask)
            seen.append((x, mask))
            x = join(torch.cat([x[:, ::2], nn.functional.pad(x, (0, 0, 0, 1))[:, 1::2]], -1))
            x, mask = x + state, stride_mask(mask, 2)
        x = self.middle(x, mask.unsqueeze(1))
        for block, skip in zip(self.up, self.skip, strict=True):
            before, mask = seen.pop()
            doubled = x.repeat_interleave(2, 1)[:, : before.shape[1]]
            x = block(skip(torch.cat([doubled, before], -1)) + state, mask.unsqueeze(1))
        out: Tensor = self.leave(self.norm(x)) + self.gate(state) * self.direct(z)
        return zero_padding(out, mask)


class InverseDiffusion(nn.Module):
    """Noise, its prediction, and the way back.

    Raises:
        UsageError: a start or number of steps outside the levels, an unknown schedule.
    """

    alphas: Tensor

    def __init__(self, config: DiffusionConfig, latent: int) -> None:
        super().__init__()
        if not 0 <= config.start <= config.levels:
            raise UsageError(f"start: expected 0 to {config.levels} levels, got {config.start}")
        if config.start and not 1 <= config.steps <= config.start:
            raise UsageError(f"steps: expected 1 to {config.start} of them, got {config.steps}")
        if config.noise not in ("training", "always", "never"):
            raise UsageError(f"noise: expected training, always or never, got {config.noise!r}")
        self.config = config
        alphas = noise_levels(config)
        self.register_buffer("alphas", alphas.float(), persistent=False)
        # The way back is the same for all clips: constants of an export.
        way = torch.linspace(config.start, 0, config.steps + 1).round().long().tolist()
        self.way = tuple((int(level), float(alphas[level])) for level in way)
        self.denoiser = Denoiser(config, latent)

    def add_noise(self, z_0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """``z_t = sqrt(alpha_t) z_0 + sqrt(1 - alpha_t) eps`` (Eq. 4); ``level (B,)``."""
        alpha = self.alphas[level][:, None, None].to(z_0.dtype)
        return alpha.sqrt() * z_0 + (1 - alpha).sqrt() * noise

    def noised(self, z_0: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Noised:
        """Noise of a level drawn for each clip, and its prediction (Eq. 8)."""
        z_0 = z_0 if self.config.joint else z_0.detach()
        level = torch.randint(
            1, self.config.levels + 1, (len(z_0),), generator=generator, device=z_0.device
        )
        noise = _normal(z_0, generator)
        return Noised(noise, self.denoiser(self.add_noise(z_0, noise, level), level, mask))

    def forward(
        self, z_0: Tensor, mask: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """What is recovered of ``z_0 (B, T, D)`` from level ``start``; zero outside the clips."""
        if not self.config.start:
            return zero_padding(z_0, mask)
        drawn = self.config.noise == "always" or (self.config.noise == "training" and self.training)
        alpha = self.way[0][1]
        z = math.sqrt(alpha) * z_0
        if drawn:
            z = z + math.sqrt(1 - alpha) * _normal(z_0, generator)
        for (level, alpha), (_, after) in zip(self.way, self.way[1:], strict=False):
            predicted = self.denoiser(z, torch.full((1,), level, device=z.device), mask)
            fresh = self.config.eta**2 * (1 - after) / (1 - alpha) * (1 - alpha / after)
            z = step_back(z, predicted, alpha, after, fresh)
            if fresh > 0:
                z = z + math.sqrt(fresh) * _normal(z, generator)
        return zero_padding(z, mask)


def step_back(z: Tensor, predicted: Tensor, alpha: float, after: float, fresh: float) -> Tensor:
    """From ``alpha`` to the lower noise of ``after`` (Song et al. 2021, Eq. 12), without the new
    noise of variance ``fresh`` that is to be added."""
    z_0 = (z - math.sqrt(1 - alpha) * predicted) / math.sqrt(alpha)
    return math.sqrt(after) * z_0 + math.sqrt(max(1 - after - fresh, 0.0)) * predicted


def _frequencies(dim: int, like: Tensor) -> Tensor:
    half = torch.arange(dim // 2, device=like.device, dtype=like.dtype)
    out: Tensor = torch.exp(half * (-2 * math.log(10_000.0) / dim))
    return out


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
