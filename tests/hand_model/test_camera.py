"""The weak-perspective camera against its closed form."""

from __future__ import annotations

import torch

from chereme.hand_model.camera import weak_perspective


def test_weak_perspective() -> None:
    points = torch.tensor([[[1.0, 2.0, 3.0], [-1.0, 0.5, 9.0]]])
    found = weak_perspective(points, torch.tensor([10.0]), torch.tensor([[5.0, 6.0]]))
    assert found.tolist() == [[[15.0, 26.0], [-5.0, 11.0]]]
