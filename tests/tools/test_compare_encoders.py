"""Encoders are trained on some people and asked of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_letters import CornerEyes, write_collections

from chereme.datasets.exemplars import build_exemplars
from chereme.datasets.letter_collections import PEOPLE, pictures
from chereme.nn.resnet import ResNetEncoderConfig
from tools import compare_encoders
from tools.compare_encoders import (
    LEFT_OUT,
    SIDE,
    EfficientNetLite0,
    Hands,
    compared,
    encoder_of,
    hands,
    main,
)

TINY = ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=16)


def coloured(people: tuple[str, ...], seed: int) -> Hands:
    """Letters a and b, red and blue, whose numbers tell them apart too."""
    rng = np.random.default_rng(seed)
    letters = np.tile([0, 1], 40)
    crops = rng.integers(0, 60, (80, SIDE, SIDE, 3), dtype=np.uint8)
    crops[letters == 0, ..., 0] += 180
    crops[letters == 1, ..., 2] += 180
    numbers = torch.from_numpy(letters[:, None] + rng.normal(0, 0.1, (80, 5))).float()
    who = np.array([people[i // 2 % len(people)] for i in range(80)])
    return Hands(crops, letters, who, numbers, numbers.flip(1), np.arange(80))


@pytest.mark.parametrize("name", ["hand+landmarks", "small:16", "small:16:first"])
def test_what_was_learned_holds_for_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_encoders, "recipe_resnet", lambda recipe: TINY)
    found = compared(name, coloured(("x", "y"), 0), coloured(("p", "q"), 1), 0.05, None)
    assert found["people"] == {"p": 100.0, "q": 100.0}
    assert found["milliseconds"] > 0
    assert found["pictures"] > 0


def test_lite0_has_the_sizes_of_the_paper_and_takes_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0()
    # 4.65 M (Tan & Le's Lite0) with the layer that tells ImageNet's 1,000 classes.
    assert sum(weight.numel() for weight in network.parameters()) == 4_652_008 - 1_281_000
    weights = tmp_path / "lite0.pth"
    torch.save(
        network.state_dict() | {"_fc.weight": torch.zeros(1), "_fc.bias": torch.ones(1)}, weights
    )
    pictures = torch.rand(2, 3, 64, 64)
    read = encoder_of("lite0", weights).eval()(pictures)
    torch.testing.assert_close(read, network.eval()(pictures))
    assert read.shape == (2, 1280)


def test_people_left_out_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_collections(tmp_path)
    eyes = CornerEyes("left")
    path = tmp_path / "exemplars.npz"
    exemplars = build_exemplars(tmp_path, eyes, variants=2, workers=1).save(path)
    monkeypatch.setattr(compare_encoders, "LandmarkNetwork", lambda: eyes)
    shown = list(pictures(tmp_path))
    train, test = (hands(shown, exemplars, left_out=out) for out in (False, True))
    assert set(test.people) == set(LEFT_OUT) & set(PEOPLE)
    assert not set(train.people) & set(LEFT_OUT)
    assert len(test.vectors) == len(test.crops) == 2 * len(set(test.people))
    assert len(train.vectors) > 2 * len(train.crops)  # and all views of these
    assert (train.letters == -1).any()  # a hand that spells nothing
    assert (test.letters >= 0).all()
    given = [str(tmp_path), "hand", "--exemplars", str(path), "--minutes", "0.01"]
    main([*given, "--output", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found["hand"]["people"]) == set(test.people)
    assert "| hand |" in capsys.readouterr().out
    main([*given, "--output", str(tmp_path / "found.json")])
    assert json.loads((tmp_path / "found.json").read_text()) == found
