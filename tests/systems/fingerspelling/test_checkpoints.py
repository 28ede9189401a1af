"""Checkpoints of the fingerspelling recogniser are read whole, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fake_models import CROP, letters, save_letters

from chereme.errors import BundleError
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.text import ASL_LETTERS, CHICAGO


@pytest.mark.parametrize(("stream", "crop"), [("landmarks", None), ("rgb", CROP)])
def test_load_checkpoint(tmp_path: Path, stream: str, crop: dict | None) -> None:
    expected = letters(stream)
    model, rate, alphabet, found = load_checkpoint(save_letters(tmp_path / "a.ckpt", expected))
    assert (rate, alphabet, found) == (25.0, ASL_LETTERS, crop)
    assert not model.training
    state = expected.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    other = save_letters(tmp_path / "b.ckpt", expected, alphabet=list(CHICAGO.symbols), rate=12)
    assert load_checkpoint(other)[1:3] == (12.0, CHICAGO)


def test_cut_off_checkpoint(tmp_path: Path) -> None:
    content = save_letters(tmp_path / "whole.ckpt", letters()).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=r"cut\.ckpt: expected a checkpoint"):
        load_checkpoint(tmp_path / "cut.ckpt")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"sequence": {"gru_hidden": 11}}},
        {"config": {"wings": 2}},
        {"config": {}},
        {"config": {"sequence": {"kernels": "K4"}}},
        {"config": {"sequence": {"wings": 2}}},
        {"config": {"stream": "wings"}},
        {"rate": None},
        {"crop": None},
        {"crop": {"padding": 0.2}},
        {"crop": CROP | {"bridge": "long"}},
        {"alphabet": ["a", "a"]},
        {"alphabet": 3},
    ],
)
def test_checkpoints_whose_parts_do_not_fit(tmp_path: Path, changes: dict) -> None:
    path = save_letters(tmp_path / "odd.ckpt", letters("rgb"), **changes)
    with pytest.raises(BundleError, match=r"odd\.ckpt: expected a checkpoint of the finger"):
        load_checkpoint(path)
