"""Eq. 4, the way back, and the denoiser; diffusers is the oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from chereme.errors import UsageError
from chereme.systems.signx.diffusion import (
    DiffusionConfig,
    InverseDiffusion,
    noise_levels,
    step_back,
)

SMALL = DiffusionConfig(dim=8, halvings=2, heads=2, dropout=0.0)


def build(**changes: object) -> InverseDiffusion:
    torch.manual_seed(0)
    return InverseDiffusion(replace(SMALL, **changes), 12).eval()  # type: ignore[arg-type]


def mask(*lengths: int) -> Tensor:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


def test_equation_4_by_hand() -> None:
    diffusion = build(levels=4, start=2)
    betas = torch.linspace(1e-4, 0.02, 4)  # DDPM's
    alpha = (1 - betas[0]) * (1 - betas[1])
    z_0, noise = torch.randn(2, 3, 12), torch.randn(2, 3, 12)
    found = diffusion.add_noise(z_0, noise, torch.tensor([2, 0]))
    assert found[0].allclose(alpha.sqrt() * z_0[0] + (1 - alpha).sqrt() * noise[0], atol=1e-6)
    assert found[1].equal(z_0[1])


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"])
def test_noise_is_that_of_diffusers(schedule: str) -> None:
    diffusion = build(schedule=schedule)
    z_0, noise = torch.randn(3, 2, 12), torch.randn(3, 2, 12)
    level = torch.tensor([1, 400, 1000])
    theirs = DDPMScheduler(1000, beta_schedule=schedule)
    wanted = theirs.add_noise(z_0, noise, level - 1)
    assert diffusion.add_noise(z_0, noise, level).allclose(wanted, atol=1e-6)
    alphas = noise_levels(replace(SMALL, schedule=schedule))  # type: ignore[arg-type]
    assert (alphas.diff() < 0).all()
    assert alphas[0] == 1


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_the_way_back_is_that_of_diffusers(eta: float) -> None:
    """Five steps of 20 levels from level 100: timesteps 99, 79, ... of its DDIM."""
    diffusion = build(steps=5, start=100)
    theirs = DDIMScheduler(1000, clip_sample=False)
    theirs.set_timesteps(50)  # 20 levels a step
    z, predicted, fresh_noise = (torch.randn(2, 3, 12) for _ in range(3))
    for (level, alpha), (below, after) in zip(diffusion.way, diffusion.way[1:], strict=False):
        assert level - below == 20
        fresh = eta**2 * (1 - after) / (1 - alpha) * (1 - alpha / after)
        found = step_back(z, predicted, alpha, after, fresh) + fresh**0.5 * fresh_noise
        wanted = theirs.step(predicted, level - 1, z, eta=eta, variance_noise=fresh_noise)
        assert found.allclose(wanted.prev_sample, atol=1e-4)


def test_without_noise_the_sampler_returns_its_input() -> None:
    z_0 = torch.randn(2, 5, 12)
    inside = mask(5, 5)
    for mode in (True, False):  # no level to start from
        assert build(start=0, noise="always").train(mode)(z_0, inside).equal(z_0)
    # A denoiser that finds no noise where there is none, over many steps.
    diffusion = build(start=800, steps=40, noise="never")
    for parameter in diffusion.denoiser.parameters():
        torch.nn.init.zeros_(parameter)
    assert diffusion(z_0, inside).allclose(z_0, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_perfect_denoiser_recovers_the_latent(eta: float) -> None:
    """From noise of any level, when it says exactly which noise there was."""
    diffusion = build(start=1000, steps=25, noise="always", eta=eta)
    z_0 = torch.randn(2, 5, 12)

    class Oracle(torch.nn.Module):
        def forward(self, z: Tensor, level: Tensor, mask: Tensor) -> Tensor:
            alpha = diffusion.alphas[level][:, None, None]
            return (z - alpha.sqrt() * z_0) / (1 - alpha).sqrt()

    diffusion.denoiser = Oracle()  # type: ignore[assignment]
    assert diffusion(z_0, mask(5, 5)).allclose(z_0, atol=1e-2)


def test_when_noise_is_drawn() -> None:
    z_0, inside = torch.randn(1, 4, 12), mask(4)

    def differs(noise: str, training: bool) -> bool:
        diffusion = build(noise=noise).train(training)
        return not diffusion(z_0, inside).equal(diffusion(z_0, inside))

    assert [differs(n, True) for n in ("training", "always", "never")] == [True, True, False]
    assert [differs(n, False) for n in ("training", "always", "never")] == [False, True, False]
    diffusion = build(noise="always")
    same = [diffusion(z_0, inside, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert same[0].equal(same[1])


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_padding_changes_nothing(halvings: int) -> None:
    denoiser = build(halvings=halvings).denoiser
    z, level = torch.randn(2, 9, 12), torch.tensor([3, 700])
    z[1, 5:] = torch.nan
    out = denoiser(z, level, mask(9, 5))
    assert out[1, :5].allclose(denoiser(z[1:, :5], level[1:], mask(5))[0], atol=1e-5)
    assert out[1, 5:].abs().max() == 0
    assert not out[0].allclose(denoiser(z[:1], torch.tensor([900]), mask(9))[0], atol=1e-3)


def test_the_denoiser_sees_the_whole_clip_and_learns() -> None:
    diffusion = build(halvings=2)
    z = torch.randn(1, 8, 12, requires_grad=True)
    diffusion.denoiser(z, torch.tensor([50]), mask(8))[0, 0].sum().backward()
    assert z.grad is not None
    assert (z.grad[0].abs().amax(-1) > 0).all()
    # Latents on a line in 12 dimensions: most of what is off the line is noise.
    line, draw = torch.randn(12), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-2)
    values = []
    for _ in range(60):
        z_0 = torch.randn(16, 6, 1, generator=draw) * line
        out = diffusion.noised(z_0, mask(*[6] * 16), draw)
        loss = (out.noise - out.predicted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert sum(values[-10:]) / 10 < 0.5  # predicting nothing gives 1


def test_whether_the_encoder_is_trained_by_it() -> None:
    for joint in (False, True):
        z_0 = torch.randn(2, 4, 12, requires_grad=True)
        out = build(joint=joint).noised(z_0, mask(4, 4))
        (out.noise - out.predicted).square().sum().backward()
        assert (z_0.grad is not None) == joint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 1001}, "start: expected 0 to 1000 levels, got 1001"),
        ({"start": 3, "steps": 4}, "steps: expected 1 to 3 of them, got 4"),
        ({"schedule": "square"}, "schedule: expected linear"),
        ({"noise": "some"}, "noise: expected training"),
        ({"dim": 7}, "dim of the denoiser: expected an even number, got 7"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(**changes)
