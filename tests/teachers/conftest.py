"""A HaMeR of a few thousand numbers, whose weights are a formula."""

from __future__ import annotations

import zlib

import pytest
import torch
from torch import Tensor

from chereme.teachers.hamer import Hamer, HamerConfig
from chereme.teachers.pose_transformer import PoseTransformerConfig
from chereme.teachers.vit import ViTConfig


@pytest.fixture(scope="session")
def tiny() -> HamerConfig:
    return HamerConfig(
        ViTConfig(dim=64, depth=2, heads=4, mlp_dim=256),
        PoseTransformerConfig(dim=48, depth=2, heads=3, head_dim=8, mlp_dim=40, context_dim=64),
    )


@pytest.fixture(scope="session")
def weights(tiny: HamerConfig) -> dict[str, Tensor]:
    """The weights for which values of HaMeR's own code are known: sines, the phase by name."""
    state = Hamer(tiny).double().state_dict()
    for name, tensor in state.items():
        steps = torch.arange(tensor.numel(), dtype=torch.float64)
        values = 0.05 * torch.sin(0.1 * steps + zlib.crc32(name.encode()) % 1000)
        scale = "norm" in name and name.endswith("weight")
        state[name] = (values + 1 if scale else values).view(tensor.shape)
    return dict(state)


@pytest.fixture(scope="session")
def hamer(tiny: HamerConfig, weights: dict[str, Tensor]) -> Hamer:
    model = Hamer(tiny).double()
    model.load_state_dict(weights)
    return model.requires_grad_(False)
