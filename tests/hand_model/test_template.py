"""Templates: their checks, their files, and their mirror images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from chereme.errors import InputError, UsageError
from chereme.hand_model import HandLayer, HandTemplate, template
from fake_hands import random_template

ARRAYS = tuple(template.expected_shapes(1, 1, 1))


def assert_same(one: HandTemplate, other: HandTemplate, tolerance: float = 0.0) -> None:
    assert (one.name, one.side, one.licence) == (other.name, other.side, other.licence)
    assert one.tips == other.tips
    for key in ARRAYS:
        np.testing.assert_allclose(getattr(one, key), getattr(other, key), atol=tolerance)
    assert one.extras.keys() == other.extras.keys()
    for key in one.extras:
        np.testing.assert_allclose(one.extras[key], other.extras[key], atol=tolerance)


def small(**changes: Any) -> HandTemplate:
    return random_template(1, num_vertices=30, num_faces=20, **changes)


@pytest.mark.parametrize("side", ["right", "left"])
def test_save_and_load(tmp_path: Path, side: Any) -> None:
    hand = small(side=side, extras={"nail": np.linspace(0, 1, 30), "part": np.arange(30)})
    hand.save(tmp_path / "hand.safetensors")
    again = HandTemplate.load(tmp_path / "hand.safetensors")
    assert_same(again, hand)
    assert again.extras["part"].dtype.kind == "i"
    assert again.v_template.dtype == np.float64


def test_single_precision_halves_the_file(tmp_path: Path) -> None:
    hand = small(extras={"nail": np.linspace(0, 1, 30)})
    hand.save(tmp_path / "double.safetensors")
    hand.save(tmp_path / "single.safetensors", dtype=np.float32)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("double", "single")]
    assert sizes[1] < 0.6 * sizes[0]
    assert_same(HandTemplate.load(tmp_path / "single.safetensors"), hand, 1e-7)


def test_a_view_is_saved_in_its_own_order(tmp_path: Path) -> None:
    hand = small()
    flipped = small(faces=hand.faces[:, ::-1], v_template=np.asfortranarray(hand.v_template))
    flipped.save(tmp_path / "hand.safetensors")
    assert_same(HandTemplate.load(tmp_path / "hand.safetensors"), flipped)


@pytest.mark.parametrize("used", [0, 40])
def test_mostly_zeros_are_stored_sparsely(tmp_path: Path, used: int) -> None:
    posedirs = np.zeros((30, 3, 135))
    posedirs.reshape(-1)[7 : 7 + used] = 0.01
    weights = np.eye(16)[np.arange(30) % 16]
    hand = small(posedirs=posedirs, weights=weights)
    path = tmp_path / "hand.safetensors"
    hand.save(path)
    assert_same(HandTemplate.load(path), hand)
    stored = load_file(path)
    assert len(stored["posedirs.values"]) == used
    assert len(stored["weights.values"]) == 30


def test_posedirs_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "hand.safetensors"
    hand = small(posedirs=np.zeros((30, 3, 135)))
    hand.save(path)
    edit(path, lambda tensors, _: [tensors.pop(k) for k in list(tensors) if "posedirs" in k])
    assert_same(HandTemplate.load(path), hand)


def test_load_another_side(tmp_path: Path) -> None:
    hand = small()
    hand.save(tmp_path / "hand.safetensors")
    left = HandTemplate.load(tmp_path / "hand.safetensors", side="left")
    assert_same(left, hand.mirrored())
    assert_same(HandTemplate.load(tmp_path / "hand.safetensors", side="right"), hand)
    with pytest.raises(UsageError, match="expected 'right' or 'left', got 'Left'"):
        HandTemplate.load(tmp_path / "hand.safetensors", side="Left")  # type: ignore[arg-type]


def test_the_bundled_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand = small()
    hand.save(tmp_path / "bundled.safetensors")
    monkeypatch.setitem(template.BUNDLED, "open", tmp_path / "bundled.safetensors")
    assert_same(HandTemplate.load(), hand)
    assert_same(HandTemplate.load("open", side="left"), hand.mirrored())


# --- mirror ------------------------------------------------------------------------------------


def test_mirrored_pose_gives_mirrored_mesh() -> None:
    right = small()
    left = right.mirrored()
    assert left.side == "left"
    assert_same(left.mirrored(), right)
    rng = torch.manual_seed(3)
    double = {"dtype": torch.float64, "generator": rng}
    betas, transl = torch.randn(4, 10, **double), torch.randn(4, 3, **double)  # type: ignore[call-overload]
    pose, orient = torch.randn(4, 15, 3, **double), torch.randn(4, 3, **double)  # type: ignore[call-overload]
    axial = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    flip = -axial
    for flat in (True, False):
        one = HandLayer(right, flat_hand_mean=flat, dtype=torch.float64)
        other = HandLayer(left, flat_hand_mean=flat, dtype=torch.float64)
        expected = one(betas, pose, orient, transl)
        found = other(betas, pose * axial, orient * axial, transl * flip)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b * flip)


def test_mirrored_principal_components() -> None:
    right = small()
    coefficients = torch.randn(3, 12, dtype=torch.float64)
    zeros = torch.zeros(3, 10, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    found = [
        HandLayer(hand, flat_hand_mean=False, components=12, dtype=torch.float64)(
            zeros[0], coefficients, zeros[1]
        ).vertices
        for hand in (right, right.mirrored())
    ]
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(found[1], found[0] * flip)


def test_mirrored_faces_face_outwards() -> None:
    corners = np.zeros((30, 3))
    corners[:4] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    outwards = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    hand = small(v_template=corners, faces=outwards)
    for side in (hand, hand.mirrored()):
        a, b, c = (side.v_template[side.faces[:, i]] for i in range(3))
        assert np.einsum("fi,fi->", a, np.cross(b, c)) == pytest.approx(1.0)  # 6 x volume


def test_mirrored_joint_axes_take_the_same_angles() -> None:
    axes = np.linalg.qr(np.random.default_rng(5).normal(size=(15, 3, 3)))[0]
    hand = small(extras={"joint_axes": axes, "nail": np.arange(30.0)})
    left = hand.mirrored()
    angles = np.random.default_rng(6).normal(size=(15, 3))
    right_pose = np.einsum("jab,jb->ja", axes, angles)
    left_pose = np.einsum("jab,jb->ja", left.extras["joint_axes"], angles)
    np.testing.assert_allclose(left_pose, right_pose * [1, -1, -1])
    np.testing.assert_array_equal(left.extras["nail"], hand.extras["nail"])


# --- what is wrong is named --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": "both"}, r"side: expected 'right' or 'left', got 'both'"),
        (
            {"shapedirs": np.zeros((30, 3))},
            r"shapedirs: expected shape \(30, 3, B\), got \(30, 3\)",
        ),
        ({"v_template": np.zeros(30)}, r"v_template: expected shape \(V, 3\), got \(30,\)"),
        ({"faces": np.zeros(3, int)}, r"faces: expected shape \(F, 3\), got \(3,\)"),
        ({"faces": np.zeros((0, 3), int)}, r"faces: expected shape \(1, 3\), got \(0, 3\)"),
        ({"posedirs": np.zeros((30, 3, 9))}, r"posedirs: expected shape \(30, 3, 135\)"),
        ({"joint_regressor": np.zeros((21, 30))}, r"joint_regressor: expected shape \(16, 30\)"),
        ({"components": np.eye(6)}, r"components: expected shape \(45, 45\), got \(6, 6\)"),
        ({"pose_mean": np.zeros(48)}, r"pose_mean: expected shape \(45,\), got \(48,\)"),
        ({"v_template": np.full((30, 3), np.nan)}, "v_template: expected finite numbers"),
        ({"weights": np.full((30, 16), 0.05)}, "rows that sum to 1, got 0.8 at vertex 0"),
        ({"faces": np.full((20, 3), 30)}, r"faces: expected vertices 0..29, got 30..30"),
        ({"faces": np.full((20, 3), 0.5)}, r"faces: expected whole numbers, got float64"),
        ({"parents": np.arange(16) - 1}, "parents: expected a wrist with five chains"),
        ({"tips": {}}, "tips: expected at least one named set"),
        ({"tips": {"few": (1, 2, 3)}}, r"tips 'few': expected five vertices of 0..29"),
        ({"tips": {"far": (1, 2, 3, 4, 30)}}, r"tips 'far': expected five vertices of 0..29"),
    ],
)
def test_wrong_arrays(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**changes)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InputError, match=r"side: .*; weights: .*; pose_mean: .*") as caught:
        small(side="up", pose_mean=np.zeros(3), weights=np.zeros(3))
    assert "posedirs" not in str(caught.value)


def edit(path: Path, change: Any) -> None:
    """Change the tensors and metadata of a file."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: t.pop("weights"), "missing: weights"),
        (lambda t, m: t.pop("v_template"), "missing: v_template"),
        (lambda t, m: (t.pop("parents"), m.pop("licence")), "missing: parents, licence"),
        (lambda t, m: t.update(pose_mean=np.zeros(4)), r"pose_mean: expected shape \(45,\)"),
        (lambda t, m: m.update(tips="nails"), "tips: expected a JSON object"),
        (lambda t, m: m.update(tips=json.dumps({"a": ["x"] * 5})), "tips: expected a JSON object"),
        (lambda t, m: m.update(format="a letter"), "expected a 'chereme hand template'"),
        (lambda t, m: m.update(format_version="99"), "of version 1, got .* of version '99'"),
        (
            lambda t, m: t.update({"posedirs.indices": t["posedirs.indices"] + 10**6}),
            r"posedirs: its sparse entries do not fit its shape \(30, 3, 135\)",
        ),
        (
            lambda t, m: t.update({"posedirs.values": t["posedirs.values"][1:]}),
            "posedirs: its sparse entries do not fit",
        ),
        (
            lambda t, m: t.update({"posedirs.indices": t["posedirs.indices"].astype(float)}),
            "posedirs: its sparse entries do not fit",
        ),
        (
            lambda t, m: t.update(v_template=np.zeros((100_001, 3), np.float16)),
            "expected at most 100000 vertices, got 100001",
        ),
        (lambda t, m: t.pop("posedirs.values"), "missing: posedirs"),
        (lambda t, m: t.update(shapedirs=np.zeros(())), "shapedirs: expected 3 dimensions"),
        (lambda t, m: t.update(v_template=np.zeros(())), "v_template: expected 2 dimensions"),
    ],
)
def test_wrong_files(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "hand.safetensors"
    posedirs = np.zeros((30, 3, 135))
    posedirs[3] = 0.1
    small(posedirs=posedirs).save(path)
    edit(path, change)
    with pytest.raises(InputError, match=message) as caught:
        HandTemplate.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, b"\xff" * 8, b"PK\x03\x04"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hand.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected a \.safetensors file"):
        HandTemplate.load(path)


def test_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hand.safetensors"
    small().save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"expected a \.safetensors file"):
        HandTemplate.load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such hand template; expected .* or 'open'"):
        HandTemplate.load(tmp_path / "absent.safetensors")
