"""The layer against published golden numbers, another implementation, its own limits, and ONNX."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chereme.errors import InputError, UsageError
from chereme.hand_model import HandLayer, HandOutput, HandTemplate, layer
from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.template import PARENTS
from fake_hands import MANO_TIPS, random_template, sines

DOUBLE = torch.float64
# MANO's joints and five tips after them, thumb first, in MediaPipe order.
TO_MEDIAPIPE = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


def make(template: HandTemplate, **options: Any) -> HandLayer:
    return HandLayer(template, **({"flat_hand_mean": True, "dtype": DOUBLE} | options))


def draw(batch: int, seed: int = 0, pose: int = 45) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """betas, hand_pose, global_orient, transl."""
    rng = torch.manual_seed(seed)
    return tuple(
        scale * torch.randn(batch, size, dtype=DOUBLE, generator=rng)
        for size, scale in ((10, 1.0), (pose, 0.5), (3, 1.0), (3, 0.3))
    )  # type: ignore[return-value]


@pytest.fixture(scope="module")
def hand() -> HandTemplate:
    return random_template(0)


@pytest.fixture(scope="module")
def small() -> HandTemplate:
    return random_template(1, num_vertices=24, num_faces=20)


def golden_template() -> HandTemplate:
    def rows_of_one(rows: np.ndarray) -> np.ndarray:
        result: np.ndarray = rows / rows.sum(1, keepdims=True)
        return result

    return random_template(
        v_template=sines((778, 3), 1, 0.1),
        shapedirs=sines((778, 3, 10), 2, 0.01),
        posedirs=sines((778, 3, 135), 3, 0.001),
        joint_regressor=rows_of_one(1.5 + sines((16, 778), 4, 1)),
        weights=rows_of_one(1.5 + sines((778, 16), 5, 1)),
    )


def test_golden_numbers() -> None:
    """Made with smplx 0.1.28 in double precision."""
    axis_angle = torch.from_numpy(sines((1, 16, 3), 7, 0.5))
    betas = torch.from_numpy(sines((1, 10), 6, 1))
    hands = make(golden_template(), tips="hamer")(betas, axis_angle[:, 1:], axis_angle[:, 0])
    near = {"abs": 1e-9, "rel": 0}
    assert hands.vertices.sum().item() == pytest.approx(0.855533069767, **near)
    assert hands.vertices[0, 0].tolist() == pytest.approx(
        [0.0834922100, 0.0806557641, 0.0764386508], **near
    )
    assert hands.joints16.sum().item() == pytest.approx(0.0177309875, **near)
    assert hands.joints.sum().item() == pytest.approx(0.2077407950, **near)
    assert hands.joints[0, 4].tolist() == pytest.approx(
        [-0.1026113700, -0.1093006323, -0.0985361509], **near
    )


# --- against smplx -----------------------------------------------------------------------------


def single(template: HandTemplate) -> HandTemplate:
    """The hand with its numbers rounded to single precision, as smplx rounds them."""
    names = ("v_template", "shapedirs", "posedirs", "joint_regressor", "weights")
    return replace(template, **{n: getattr(template, n).astype(np.float32) for n in names})


def smplx_model(template: HandTemplate, kind: str, **options: Any) -> Any:
    models = pytest.importorskip("smplx.body_models")
    data = models.Struct(
        v_template=template.v_template,
        shapedirs=template.shapedirs,
        posedirs=template.posedirs,
        J_regressor=template.joint_regressor,
        weights=template.weights,
        kintree_table=np.stack([template.parents, np.arange(16)]),
        f=template.faces,
        hands_components=template.components,
        hands_mean=template.pose_mean,
    )
    is_right = template.side == "right"
    return getattr(models, kind)(
        "MANO_RIGHT.pkl", is_rhand=is_right, data_struct=data, dtype=DOUBLE, **options
    )


def assert_as_smplx(template: HandTemplate, batch: int, flat: bool, components: int | None) -> None:
    template = single(template)
    betas, pose, orient, transl = draw(batch, batch, components or 45)
    model = smplx_model(
        template,
        "MANO",
        use_pca=components is not None,
        num_pca_comps=components or 45,
        flat_hand_mean=flat,
    )
    theirs = model(betas=betas, hand_pose=pose, global_orient=orient, transl=transl)
    ours = make(template, flat_hand_mean=flat, components=components, tips="hamer")(
        betas, pose, orient, transl
    )
    # atol: smplx adds 1e-8 to each rotation vector.
    close = {"atol": 5e-8, "rtol": 0}
    torch.testing.assert_close(ours.vertices, theirs.vertices, **close)
    torch.testing.assert_close(ours.joints16, theirs.joints[:, :16], **close)
    tips = theirs.vertices[:, list(MANO_TIPS["hamer"])]
    expected = torch.cat([theirs.joints[:, :16], tips], 1)[:, list(TO_MEDIAPIPE)]
    torch.testing.assert_close(ours.joints, expected, **close)


@pytest.mark.parametrize("batch", [1, 7, 130])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("side", ["right", "left"])
def test_as_smplx(batch: int, flat: bool, side: Any) -> None:
    assert_as_smplx(random_template(batch, side=side), batch, flat, None)


# smplx takes 45 components for no principal components at all.
@pytest.mark.parametrize("components", [6, 11, 12, 25, 44])
@pytest.mark.parametrize("flat", [True, False])
def test_principal_components_as_smplx(hand: HandTemplate, components: int, flat: bool) -> None:
    assert_as_smplx(hand, 3, flat, components)


def test_no_pose_blend_shapes_as_smplx() -> None:
    assert_as_smplx(random_template(posedirs=np.zeros((778, 3, 135))), 3, True, None)


@pytest.mark.parametrize("side", ["right", "left"])
def test_matrices_as_smplx(side: Any) -> None:
    template = single(random_template(5, side=side))
    betas, pose, orient, transl = draw(6)
    arguments = {
        "betas": betas,
        "hand_pose": axis_angle_to_matrix(pose.view(6, 15, 3)),
        "global_orient": axis_angle_to_matrix(orient),
        "transl": transl,
    }
    ours = make(template)(**arguments)
    arguments["global_orient"] = arguments["global_orient"][:, None]
    theirs = smplx_model(template, "MANOLayer")(**arguments)
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=1e-12, rtol=0)
    torch.testing.assert_close(ours.joints16, theirs.joints[:, :16], atol=1e-12, rtol=0)


# --- forms of the arguments --------------------------------------------------------------------


def assert_same(one: HandOutput, other: HandOutput, **tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **tolerance)  # type: ignore[arg-type]


def test_forms_of_a_pose(small: HandTemplate) -> None:
    betas, pose, orient, transl = draw(5)
    hands = make(small)
    expected = hands(betas, pose, orient, transl)
    joints = pose.view(5, 15, 3)
    matrices, turn = axis_angle_to_matrix(joints), axis_angle_to_matrix(orient)
    for form in ((joints, orient), (pose, turn), (matrices, orient), (matrices, turn)):
        assert_same(hands(betas, *form, transl), expected)


def test_all_45_components(small: HandTemplate) -> None:
    betas, coefficients, orient, _ = draw(4)
    pose = coefficients @ torch.from_numpy(small.components)
    expected = make(small)(betas, pose, orient)
    assert_same(make(small, components=45)(betas, coefficients, orient), expected)


def test_the_mean_pose_is_added_to_all_but_matrices(small: HandTemplate) -> None:
    betas, pose, orient, _ = draw(2)
    mean = torch.from_numpy(small.pose_mean)
    flat, mean_layer = make(small), make(small, flat_hand_mean=False, components=6)
    expected = flat(betas, pose + mean, orient)
    matrices = axis_angle_to_matrix((pose + mean).view(2, 15, 3))
    assert_same(mean_layer(betas, pose.view(2, 15, 3), orient), expected)
    assert_same(mean_layer(betas, matrices, orient), expected)
    rest = flat(betas, mean.expand(2, 45), orient)
    assert_same(mean_layer(betas, torch.zeros(2, 6, dtype=DOUBLE), orient), rest)


@pytest.mark.parametrize("tips", MANO_TIPS)
def test_fingertips_are_vertices_of_the_named_set(hand: HandTemplate, tips: str) -> None:
    hands = make(hand, tips=tips)(*draw(2))
    assert torch.equal(hands.joints[:, [4, 8, 12, 16, 20]], hands.vertices[:, MANO_TIPS[tips]])
    assert torch.equal(hands.joints[:, 0], hands.joints16[:, 0])
    assert torch.equal(hands.joints[:, 17:20], hands.joints16[:, 7:10])  # little


def test_first_set_of_fingertips_is_the_default(hand: HandTemplate) -> None:
    expected = make(hand, tips="hamer")(*draw(1)).joints
    assert torch.equal(make(hand)(*draw(1)).joints, expected)


@pytest.mark.parametrize("one", range(4))
def test_one_goes_with_many(small: HandTemplate, one: int) -> None:
    arguments = list(draw(3))
    arguments[one] = arguments[one][:1]
    hands = make(small)
    expected = [hands(*(t[[i if len(t) == 3 else 0]] for t in arguments)) for i in range(3)]
    assert_same(hands(*arguments), HandOutput(*map(torch.cat, zip(*expected, strict=True))))


def test_many_hands_are_as_many_single_ones(small: HandTemplate) -> None:
    count = 2 * layer._CHUNK + 3
    arguments = draw(count)
    hands = make(small)
    together = hands(*arguments)
    for i in (0, layer._CHUNK - 1, layer._CHUNK, count - 1):
        alone = hands(*(t[i : i + 1] for t in arguments))
        assert_same(HandOutput(*(t[i : i + 1] for t in together)), alone)


def test_no_hands(small: HandTemplate) -> None:
    none = make(small)(*(t[:0] for t in draw(1)))
    assert [tuple(t.shape) for t in none] == [(0, 24, 3), (0, 21, 3), (0, 16, 3)]


# --- geometry ----------------------------------------------------------------------------------


def test_at_rest(small: HandTemplate) -> None:
    zeros = [torch.zeros(1, n, dtype=DOUBLE) for n in (10, 45, 3)]
    hands = make(small)(*zeros)
    np.testing.assert_allclose(hands.vertices[0], small.v_template, atol=1e-15)
    np.testing.assert_allclose(
        hands.joints16[0], small.joint_regressor @ small.v_template, atol=1e-15
    )


def test_global_orient_turns_about_the_wrist(small: HandTemplate) -> None:
    betas, pose, orient, transl = draw(3)
    hands = make(small)
    still = hands(betas, pose, torch.zeros_like(orient))
    wrist = still.joints16[:, :1]
    turn = axis_angle_to_matrix(orient)
    turned = HandOutput(*((points - wrist) @ turn.mT + wrist + transl[:, None] for points in still))
    assert_same(hands(betas, pose, orient, transl), turned)


def test_a_joint_moves_only_what_is_beyond_it(small: HandTemplate) -> None:
    zeros = torch.zeros(1, 45, dtype=DOUBLE)
    hands = make(small)
    betas, _, orient, _ = draw(1)
    rest = hands(betas, zeros, orient).joints16
    for joint in range(1, 16):
        pose = zeros.clone()
        pose[0, 3 * joint - 3 : 3 * joint] = torch.tensor([0.3, 0.5, -0.7])
        moved = (hands(betas, pose, orient).joints16 - rest)[0].norm(dim=1) > 1e-6
        beyond = [i for i in range(16) if joint in ancestors(i)]
        assert moved.nonzero().flatten().tolist() == beyond


def ancestors(joint: int) -> list[int]:
    parent = PARENTS[joint]
    return [] if parent < 0 else [parent, *ancestors(parent)]


# --- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1.0])
@pytest.mark.parametrize("components", [None, 6])
def test_gradients(small: HandTemplate, components: int | None, scale: float) -> None:
    betas, pose, orient, transl = draw(2, pose=components or 45)
    arguments = [t.requires_grad_() for t in (betas, scale * pose, scale * orient, transl)]
    hands = make(small, components=components)
    assert torch.autograd.gradcheck(lambda *a: tuple(hands(*a)), arguments, fast_mode=True)


def test_gradients_of_matrices(small: HandTemplate) -> None:
    betas, pose, orient, _ = draw(1)
    matrices = axis_angle_to_matrix(pose.view(1, 15, 3)).requires_grad_()
    turn = axis_angle_to_matrix(orient).requires_grad_()
    hands = make(small)
    assert torch.autograd.gradcheck(
        lambda p, o: tuple(hands(betas, p, o)), (matrices, turn), fast_mode=True
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_nan_at_zero(hand: HandTemplate, dtype: torch.dtype) -> None:
    arguments = [torch.zeros(2, n, dtype=dtype, requires_grad=True) for n in (10, 45, 3, 3)]
    hands = make(hand, dtype=dtype)(*arguments)
    sum(t.square().sum() for t in hands).backward()  # type: ignore[union-attr]
    for argument in arguments:
        assert argument.grad is not None
        assert argument.grad.isfinite().all()
        assert argument.grad.any()


# --- types, devices, checkpoints ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)],
)
def test_any_floating_type(small: HandTemplate, dtype: torch.dtype, tolerance: float) -> None:
    arguments = draw(3)
    expected = make(small)(*arguments)
    hands = make(small, dtype=dtype)(*arguments)  # which come in double precision
    assert {t.dtype for t in hands} == {dtype}
    assert_same(HandOutput(*(t.double() for t in hands)), expected, atol=tolerance, rtol=0)


def test_to_moves_everything(small: HandTemplate) -> None:
    hands = make(small).to(device="meta", dtype=torch.float32)
    out = hands(*(t.to("meta") for t in draw(2)))
    assert {(t.device.type, t.dtype) for t in out} == {("meta", torch.float32)}
    assert hands.faces.device.type == "meta"


def test_default_type_is_torchs(small: HandTemplate) -> None:
    assert HandLayer(small, flat_hand_mean=True).rest.dtype == torch.get_default_dtype()


def test_autocast_keeps_precision(small: HandTemplate) -> None:
    hands = make(small, dtype=torch.float32)
    expected = hands(*draw(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(hands(*draw(2)), expected, atol=0, rtol=0)


def test_checkpoints_hold_nothing_of_the_template(small: HandTemplate) -> None:
    assert make(small, components=6).state_dict() == {}


# --- wrong use ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 11), r"betas: expected \(B, 10\), got \(2, 11\)"),
        (0, (10,), r"betas: expected \(B, 10\), got \(10,\)"),
        (1, (2, 6), r"hand_pose: expected \(B, 45\) or .* matrices, got \(2, 6\)"),
        (1, (2, 16, 3), r"hand_pose: .* got \(2, 16, 3\)"),
        (1, (2, 15, 6), r"hand_pose: .* got \(2, 15, 6\)"),
        (2, (2, 4), r"global_orient: expected \(B, 3\) .* got \(2, 4\)"),
        (2, (2, 1, 3), r"global_orient: .* got \(2, 1, 3\)"),
        (3, (2, 2), r"transl: expected \(B, 3\), got \(2, 2\)"),
        (1, (3, 45), r"expected one size .* got \[2, 3, 2, 2\]"),
    ],
)
def test_wrong_shapes(
    small: HandTemplate, place: int, shape: tuple[int, ...], message: str
) -> None:
    arguments = list(draw(2))
    arguments[place] = torch.zeros(shape, dtype=DOUBLE)
    with pytest.raises(InputError, match=message):
        make(small)(*arguments)


def test_wrong_number_of_components(small: HandTemplate) -> None:
    betas, _, orient, _ = draw(2)
    with pytest.raises(InputError, match=r"\(B, 12\) PCA coefficients, .* got \(2, 6\)"):
        make(small, components=12)(betas, torch.zeros(2, 6, dtype=DOUBLE), orient)


@pytest.mark.parametrize("components", [0, 46])
def test_components_that_there_are_not(small: HandTemplate, components: int) -> None:
    with pytest.raises(
        UsageError, match=rf"components: expected 1\.\.45 or None, got {components}"
    ):
        make(small, components=components)


def test_unknown_tips(hand: HandTemplate) -> None:
    with pytest.raises(UsageError, match="has hamer, manopth, papers; got 'mano'"):
        make(hand, tips="mano")


# --- export --------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrices", [False, True])
def test_it_is_exported_for_any_number_of_hands(small: HandTemplate, matrices: bool) -> None:
    """Traced with few hands; more than are done in turns, none of them turned, or one alone."""
    onnxruntime = pytest.importorskip("onnxruntime")
    hands = make(small, components=12, flat_hand_mean=False, dtype=torch.float32)

    class Posed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = hands

        def forward(
            self, betas: Tensor, pose: Tensor, orient: Tensor, transl: Tensor
        ) -> tuple[Tensor, Tensor]:
            out = self.layer(betas, pose, orient, transl)
            return out.vertices, out.joints

    def given(batch: int) -> tuple[Tensor, ...]:
        betas, pose, orient, transl = (t.float() for t in draw(batch, batch, pose=12))
        pose[0] = orient[0] = 0.0
        return betas, pose, axis_angle_to_matrix(orient) if matrices else orient, transl

    names = ["betas", "pose", "orient", "transl"]
    ports = [*names, "vertices", "joints"]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Posed(), given(2), file, input_names=names, output_names=ports[4:], dynamo=False,
            dynamic_axes={port: {0: "hands"} for port in ports}, opset_version=17,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for batch in (1, 3, 2 * layer._CHUNK + 5):
        inputs = given(batch)
        found = session.run(None, {n: t.numpy() for n, t in zip(names, inputs, strict=True)})
        expected = hands(*inputs)
        np.testing.assert_allclose(found[0], expected.vertices.numpy(), atol=1e-5)
        np.testing.assert_allclose(found[1], expected.joints.numpy(), atol=1e-5)
