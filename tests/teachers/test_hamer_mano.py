from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from chereme.errors import BundleError
from chereme.teachers.hamer import Hamer
from chereme.teachers.hamer_mano import ManoRegression


def sines() -> dict[str, Tensor]:
    """The weights for which values of HaMeR's own code are known, as of ``weights``."""
    found = {}
    for name, tensor in ManoRegression(48).double().state_dict().items():
        steps = torch.arange(tensor.numel(), dtype=torch.float64)
        phase = zlib.crc32(f"mano_head.{name}".encode()) % 1000
        found[name] = (0.05 * torch.sin(0.1 * steps + phase)).view(tensor.shape)
    found["init_hand_pose"] = torch.tensor([[1.0, 0, 0, 0, 1, 0] * 16]).double()
    found["init_betas"] = torch.zeros(1, 10).double()
    found["init_cam"] = torch.tensor([[4.0, 0, 0]]).double()
    return found


def test_values_of_hamers_own_code(hamer: Hamer) -> None:
    """Golden numbers from running geopavlakos/hamer on these weights and pictures, in float64."""
    images = torch.sin(0.01 * torch.arange(2 * 3 * 256 * 256).double()).view(2, 3, 256, 256)
    regression = ManoRegression(48).double()
    regression.load_state_dict(sines())
    found = regression(hamer(images).token)
    for values, expected in (
        (found.camera[0], [3.9077265532, -0.0586368912, 0.0841744463]),
        (found.global_orient[0, 0], [0.9957916970, 0.0464068118, -0.0790272361]),
        (found.betas[0, :3], [-0.0650526170, 0.0356731892, 0.1508195572]),
    ):
        np.testing.assert_allclose(values.detach(), expected, rtol=0, atol=1e-9)
    assert found.hand_pose.sum().item() == pytest.approx(89.5042406937, abs=1e-8)


def test_of_a_checkpoint(tmp_path) -> None:
    path = tmp_path / "hamer.safetensors"
    weights = {f"mano_head.{name}": value for name, value in sines().items()}
    save_file({**weights, "backbone.other": torch.zeros(3)}, path)
    token = torch.randn(2, 48)
    wanted = ManoRegression(48)
    wanted.load_state_dict(sines())
    found = ManoRegression.from_checkpoint(path, 48)(token)
    torch.testing.assert_close([*found], [*wanted(token)])
    with pytest.raises(BundleError, match=r"mano_head\.decpose\.weight: expected shape"):
        ManoRegression.from_checkpoint(path, 1024)
