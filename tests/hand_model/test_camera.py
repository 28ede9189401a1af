"""The weak-perspective camera against its closed form."""

from __future__ import annotations

import pytest
import torch

from chereme.errors import InputError
from chereme.hand_model.camera import weak_perspective


def test_weak_perspective() -> None:
    points = torch.tensor([[[1.0, 2.0, 3.0], [-1.0, 0.5, 9.0]]])
    found = weak_perspective(points, torch.tensor([10.0]), torch.tensor([[5.0, 6.0]]))
    assert found.tolist() == [[[15.0, 26.0], [-5.0, 11.0]]]


@pytest.mark.parametrize(
    ("points", "offset", "message"),
    [
        ((2, 4, 2), (2, 2), r"points: expected \(..., 3\), got \(2, 4, 2\)"),
        ((2, 4, 3), (2, 3), r"offset: expected \(..., 2\), got \(2, 3\)"),
    ],
)
def test_wrong_shapes(points: tuple[int, ...], offset: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        weak_perspective(torch.zeros(points), torch.ones(2), torch.zeros(offset))
