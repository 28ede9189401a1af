from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import Tensor

from chereme.errors import InputError
from chereme.teachers import Clip, Teacher
from chereme.teachers.hamer import Hamer, HamerConfig, HamerTeacher


def assert_is(actual: Tensor, *expected: float) -> None:
    """To the ten digits that are given."""
    torch.testing.assert_close(
        actual.flatten(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-10
    )


def test_values_of_hamers_own_code(hamer: Hamer) -> None:
    """Golden numbers from running geopavlakos/hamer on these weights and pictures, in float64."""
    images = torch.sin(0.01 * torch.arange(2 * 3 * 256 * 256).double()).view(2, 3, 256, 256)
    features, token = hamer(images)
    assert features.shape == (2, 64, 16, 12)
    assert features.sum().item() == pytest.approx(70.41468259936477, abs=1e-9)
    assert_is(features[0, 0, 0, [0, 2]], 1.0782454808, 1.1860663263)
    assert_is(features[1, 63, 15, 11], -1.915045398)
    assert token.shape == (2, 48)
    assert token.sum().item() == pytest.approx(3.3603932713705, abs=1e-10)
    assert_is(token[0, :4], 0.0223524200, 0.0843880314, -0.4300935017, 0.3172038743)
    assert_is(token[1, -1], -0.0838617328)

    cut = hamer(images[..., 32:-32])
    torch.testing.assert_close(cut.token, token, rtol=0, atol=0)


def vit_in_numpy(weights: dict[str, Tensor], images: np.ndarray, heads: int) -> np.ndarray:
    """``(B, 3, 256, 192)`` to ``(B, 192, D)``, written from the description alone."""
    w = {name[9:]: t.numpy() for name, t in weights.items() if name.startswith("backbone.")}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return unit * w[name + ".weight"] + w[name + ".bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    corners = [(16 * row, 16 * column) for row in range(16) for column in range(12)]
    patches = [padded[:, :, y : y + 16, x : x + 16].reshape(len(images), -1) for y, x in corners]
    kernel = w["patch_embed.proj.weight"]
    x = np.stack(patches, 1) @ kernel.reshape(len(kernel), -1).T + w["patch_embed.proj.bias"]
    x = x + w["pos_embed"][:, 1:] + w["pos_embed"][:, :1]
    for name in ("blocks.0.", "blocks.1."):
        parts = np.split(linear(norm(x, name + "norm1"), name + "attn.qkv"), 3 * heads, -1)
        attended = []
        for q, k, v in zip(parts[:heads], parts[heads:-heads], parts[-heads:], strict=True):
            score = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
            attended.append(score / score.sum(-1, keepdims=True) @ v)
        x = x + linear(np.concatenate(attended, -1), name + "attn.proj")
        hidden = linear(norm(x, name + "norm2"), name + "mlp.fc1")
        x = x + linear(hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))), name + "mlp.fc2")
    return norm(x, "last_norm")


def test_the_vit_is_the_one_described(hamer: Hamer, weights: dict[str, Tensor]) -> None:
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 256, 192)))
    expected = vit_in_numpy(weights, images.numpy(), heads=4)
    features = hamer.backbone(images).flatten(2).transpose(1, 2)
    np.testing.assert_allclose(features.numpy(), expected, atol=1e-12)


def test_the_released_sizes() -> None:
    with torch.device("meta"):
        model = Hamer(HamerConfig())
        teacher = HamerTeacher(Hamer())
    assert sum(p.numel() for p in model.backbone.parameters()) == 630_912_000
    assert len(model.backbone.state_dict()) == 389
    # Without the layers to MANO's parameters, 39,497,837 with them.
    regression = (1024 + 1) * (96 + 10 + 3)
    assert sum(p.numel() for p in model.mano_head.parameters()) == 39_497_837 - regression
    assert teacher.dim == 1024
    names = [n for n in teacher.model.state_dict() if not n.startswith("backbone.")]
    assert all(name.startswith("mano_head.transformer.") for name in names)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    layer = "mano_head.transformer.transformer.layers.5"
    for name, shape in {
        "backbone.pos_embed": (1, 193, 1280),
        "backbone.patch_embed.proj.weight": (1280, 3, 16, 16),
        "backbone.blocks.31.attn.qkv.weight": (3840, 1280),
        "backbone.blocks.31.mlp.fc1.weight": (5120, 1280),
        "backbone.last_norm.bias": (1280,),
        "mano_head.transformer.pos_embedding": (1, 1, 1024),
        "mano_head.transformer.to_token_embedding.weight": (1024, 1),
        f"{layer}.0.fn.to_qkv.weight": (1536, 1024),
        f"{layer}.0.fn.to_out.0.weight": (1024, 512),
        f"{layer}.1.fn.to_kv.weight": (1024, 1280),
        f"{layer}.1.fn.to_q.weight": (512, 1024),
        f"{layer}.2.norm.weight": (1024,),
        f"{layer}.2.fn.net.3.weight": (1024, 1024),
    }.items():
        assert shapes[name] == shape


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 256, 256, 3), dtype=np.uint8)


def as_hamer_normalises(crops: np.ndarray) -> Tensor:
    mean, std = 255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225])
    return torch.from_numpy(((crops - mean) / std).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("level", ["transformer", "vit"])
def test_vectors_of_crops_and_of_their_mirror_images(
    hamer: Hamer, crops: np.ndarray, level: Any
) -> None:
    teacher: Teacher = HamerTeacher(hamer, level=level, batch_size=2)
    assert isinstance(teacher, HamerTeacher)
    expected = []
    for pictures in (crops, crops[:, :, ::-1]):
        features, token = hamer(as_hamer_normalises(pictures))
        expected.append(token if level == "transformer" else features.flatten(2).max(-1).values)
    both = teacher.embed_clip(Clip("a", crops))
    for vectors, truth in zip(both, expected, strict=True):
        assert vectors is not None
        assert vectors.shape == (5, teacher.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, truth.numpy(), atol=2e-6)
    assert both.mirrored is not None
    assert np.abs(both.crop - both.mirrored).max() > 1e-3  # a hand is not its mirror image
    np.testing.assert_array_equal(teacher.embed(crops), both.crop)
    np.testing.assert_array_equal(teacher.embed(crops[:, :, ::-1]), both.mirrored)
    assert teacher.embed(crops[:0]).shape == (0, teacher.dim)


def test_half_precision_changes_little(hamer: Hamer, tiny: HamerConfig, crops: np.ndarray) -> None:
    exact = HamerTeacher(hamer).embed(crops)
    half = Hamer(tiny)
    half.load_state_dict(hamer.state_dict())
    vectors = HamerTeacher(half.bfloat16()).embed(crops)
    assert vectors.dtype == np.float32
    error = np.linalg.norm(vectors - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 1e-5 < error.max() < 0.02


def test_a_teacher_is_frozen(tiny: HamerConfig, crops: np.ndarray) -> None:
    teacher = HamerTeacher(Hamer(tiny))
    student = torch.nn.ModuleList([teacher, torch.nn.Linear(2, 2)])
    assert student.train() is student
    assert teacher.train() is teacher
    assert student[1].training
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(
    ("crops", "got"),
    [
        (np.zeros((2, 224, 224, 3), np.uint8), r"\(2, 224, 224, 3\) uint8"),
        (np.zeros((256, 256, 3), np.uint8), r"\(256, 256, 3\) uint8"),
        (np.zeros((1, 256, 256, 3), np.float32), "float32"),
    ],
)
def test_what_are_no_crops_is_refused(hamer: Hamer, crops: Any, got: str) -> None:
    teacher = HamerTeacher(hamer)
    with pytest.raises(InputError, match=r"expected crops \(N, 256, 256, 3\) uint8.*got .*" + got):
        teacher.embed(crops)
    with pytest.raises(InputError, match="clip 7_b: hamer: expected"):
        teacher.embed_clip(Clip("7_b", crops))
