"""RenderedClip: what the truth says is what the pictures show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("numba")
from chereme.hand_model import HandLayer
from chereme.synthesis import corpus
from chereme.synthesis.articulation import Articulation
from chereme.synthesis.handshapes import to_exemplars
from chereme.synthesis.rendered_clips import SUBSTEPS, RenderedClip
from chereme.synthesis.rendering import Film, PictureFolder, tone_map
from chereme.synthesis.scenes import Scene
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion, Speller

SIZE = (128, 96)
CLEAR = Film(full_well=1e9, read_noise=0, chroma_noise=0, blur=0)


@cache
def signer(*, left: bool = False) -> Signer:
    return replace(corpus.signer(0, 5), left_handed=left)


@cache
def speller() -> Speller:
    return Speller(to_exemplars(signer().handshapes, corpus.open_hand()), mixing=0.0)


def rendered(
    *, left: bool = False, other: bool = False, body: bool = True, seed: int = 4, text: str = "hi"
) -> RenderedClip:
    rng = np.random.default_rng(seed)
    who = signer(left=left)
    scene = replace(Scene.sample(rng, *SIZE), body=body, film=CLEAR)
    style = who.style(rng, len(text), 25.0)
    motion = speller().perform(text, rng, style, substeps=SUBSTEPS)
    rest = speller().rest(rng, style, seconds=motion.times[-1], substeps=SUBSTEPS)
    second = rest if other else None
    return RenderedClip(motion, who, scene, corpus.open_hand(), other=second, seed=seed)


def sliding(pixels: float, *, shutter: float = 1.0) -> RenderedClip:
    """A hand that moves to the right by so many pixels a frame."""
    who, rng = signer(), np.random.default_rng(2)
    style = who.style(rng, 1, 25.0)
    still = speller().perform("b", rng, style, substeps=SUBSTEPS).hand
    hand: Articulation = still[np.full(4 * SUBSTEPS + 1, len(still.angles) // 2)]
    scene = replace(Scene.sample(rng, *SIZE), body=False, film=CLEAR, shutter=shutter)
    scene = replace(scene, background=np.zeros((SIZE[1], SIZE[0], 3), np.float32))
    metres = pixels * scene.origin[2] / scene.camera.fx
    palm = 0.0824  # of this signer's hand, metres, about
    x = np.arange(4 * SUBSTEPS + 1) / SUBSTEPS * metres / palm
    hand = hand.replace(wrist=np.stack([x, 0 * x, 0 * x], 1))
    times = np.arange(4 * SUBSTEPS + 1) / (25 * SUBSTEPS)
    return RenderedClip(Motion(hand, times, "b", ()), who, scene, corpus.open_hand(), seed=1)


@pytest.mark.parametrize("left", [False, True])
def test_the_hand_model_reproduces_the_truth(left: bool) -> None:
    clip = rendered(left=left, other=True)
    truth = clip.truth
    assert clip.handedness == (("left", "right") if left else ("right", "left"))
    for hand, side in enumerate(clip.handedness):
        template = corpus.open_hand().template
        layer = HandLayer(template if side == "right" else template.mirrored(), flat_hand_mean=True)
        count = clip.count
        with torch.no_grad():
            out = layer(
                torch.from_numpy(np.tile(truth["betas"][hand], (count, 1))),
                torch.from_numpy(truth["hand_pose"][:, hand].reshape(count, 45)),
                torch.from_numpy(truth["global_orient"][:, hand]),
                torch.from_numpy(truth["transl"][:, hand]),
            )
        np.testing.assert_allclose(out.joints.numpy(), truth["joints"][:, hand], atol=2e-5)


@pytest.mark.parametrize("left", [False, True])
def test_landmarks_are_the_joints_projected(left: bool) -> None:
    clip = rendered(left=left, other=True)
    fx, fy, cx, cy = clip.truth["camera"]
    x, y, z = np.moveaxis(clip.truth["joints"].astype(float), -1, 0)
    marks = clip.landmarks
    assert (marks.width, marks.height) == SIZE
    np.testing.assert_allclose(marks.landmarks[..., 0], fx * x / z + cx, atol=2e-3)
    np.testing.assert_allclose(marks.landmarks[..., 1], fy * y / z + cy, atol=2e-3)
    assert np.abs(marks.landmarks[:, :, 0, 2]).max() == 0
    assert marks.handedness == clip.handedness
    np.testing.assert_allclose(np.diff(clip.timestamps), 1 / 25, atol=1e-9)
    assert clip.timestamps[0] == 0
    assert len(clip.timestamps) == clip.count == len(marks.landmarks)


def test_left_handed_footage_is_the_mirror_image() -> None:
    right, left = rendered(), rendered(left=True)
    for one, other in zip(right.frames(), left.frames(), strict=True):
        np.testing.assert_array_equal(one, other[:, ::-1])
    mirrored = left.landmarks.landmarks.copy()
    mirrored[..., 0] = SIZE[0] - mirrored[..., 0]
    np.testing.assert_allclose(mirrored, right.landmarks.landmarks, atol=1e-3)


def test_the_same_seed_gives_the_same_frames() -> None:
    one, again = list(rendered(other=True).frames()), list(rendered(other=True).frames())
    np.testing.assert_array_equal(one, again)
    clip = rendered()
    noisy = replace(clip.scene, film=Film(read_noise=5))
    films = [
        next(
            iter(RenderedClip(clip.motion, clip.signer, noisy, corpus.open_hand(), seed=s).frames())
        )
        for s in (1, 2)
    ]
    assert (films[0] != films[1]).mean() > 0.2
    assert films[0].shape == (SIZE[1], SIZE[0], 3)
    assert films[0].dtype == np.uint8


@pytest.mark.parametrize("left", [False, True])
def test_the_hand_is_where_the_landmarks_are(left: bool) -> None:
    """With and without the signing hand, the picture differs at its joints."""
    clip = rendered(left=left, body=False)
    background = clip.scene.background
    if left:
        background = background[:, ::-1]
    empty = tone_map(np.ascontiguousarray(background), CLEAR, np.random.default_rng(0)).astype(int)
    seen = 0
    for picture, marks in zip(clip.frames(), clip.landmarks.landmarks[:, 0], strict=True):
        for x, y, _ in marks[[0, 5, 9, 13, 17]]:
            if 2 <= x < SIZE[0] - 2 and 2 <= y < SIZE[1] - 2:
                patch = np.s_[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
                assert np.abs(picture[patch].astype(int) - empty[patch]).max() > 4
                seen += 1
    assert seen > 20


def test_the_other_hand_is_the_other_one_and_on_the_other_side() -> None:
    clip = rendered(other=True)
    assert clip.joints.shape[1:] == (2, 21, 3)
    middle = clip.scene.origin[0] + clip.scene.stand[0]
    assert (clip.joints[:, 0, 0, 0] < middle).all()
    assert (clip.joints[:, 1, 0, 0] > middle - 0.02).all()
    # Chirality: the thumb, fingers and palm of a left hand are those of a right one mirrored.
    across = clip.joints[..., 5, :] - clip.joints[..., 17, :]
    ahead = clip.joints[..., 9, :] - clip.joints[..., 0, :]
    normal = np.cross(across, ahead)
    thumb = clip.joints[..., 3, :] - clip.joints[..., 5, :]
    side = np.sign((normal * thumb).sum(-1)).mean(axis=0)
    assert side[0] * side[1] < 0
    assert rendered().joints.shape[1] == 1


@pytest.mark.parametrize("seed", range(4))
def test_hands_are_before_the_chest_and_arms_reach_them(seed: int) -> None:
    clip = rendered(seed=seed, other=True)
    person = clip._person
    neck = clip._neck
    torso = person.place(neck, hanging=(False, False))[0].vertices
    for hand in clip._hands:
        wrist = hand.mirrored(hand.joints[:, 0])
        below = (wrist[:, 1] > neck[1]) & (wrist[:, 1] < neck[1] + 0.3)
        if below.any():
            assert (torso[:, 2].min() - wrist[below, 2]).min() > 0.05
        upper = np.linalg.norm(hand.elbows - hand.shoulder, axis=1)
        assert upper.min() > 0.6 * clip._arm_shape.upper
        assert upper.max() < 1.6 * clip._arm_shape.upper


def test_motion_blurs_along_the_motion() -> None:
    pictures = {p: list(sliding(p).frames())[1].astype(float) for p in (0.0, 6.0)}
    rough = {
        axis: [(np.diff(p, axis=axis) ** 2).mean() for p in pictures.values()] for axis in (0, 1)
    }
    # Columns lose their edges, rows keep more of theirs.
    assert rough[1][1] < 0.6 * rough[1][0]
    assert rough[0][1] > 0.75 * rough[0][0]
    # The light is in the middle of the exposure, where the truth says that the hand is.
    middle = sliding(6.0)
    weight = list(middle.frames())[1].astype(float).sum(axis=(0, 2))
    short = sliding(6.0, shutter=0.25)
    start = list(short.frames())[1].astype(float).sum(axis=(0, 2))
    x = np.arange(SIZE[0])
    moved = (weight * x).sum() / weight.sum() - (start * x).sum() / start.sum()
    expected = (middle.landmarks.landmarks - short.landmarks.landmarks)[1, 0, 9, 0]
    assert expected > 1.5
    assert moved > 0.4 * expected  # the arm, which is in the picture too, moves less


def test_backgrounds_come_from_a_folder(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "green.png"), np.full((200, 300, 3), (0, 200, 0), np.uint8))
    scene = Scene.sample(np.random.default_rng(0), *SIZE, PictureFolder(tmp_path))
    assert scene.background.shape == (SIZE[1], SIZE[0], 3)
    clip = rendered(body=False)
    clip = RenderedClip(
        clip.motion, clip.signer, replace(scene, body=False, film=CLEAR), corpus.open_hand()
    )
    corner = next(iter(clip.frames()))[:8, :8].reshape(-1, 3).mean(axis=0)
    assert corner[1] > 3 * max(corner[0], corner[2])


def test_a_body_is_larger_with_larger_hands() -> None:
    sizes = []
    for beta in (-2.0, 2.0):
        clip = rendered()
        who = replace(signer(), betas=np.eye(10)[0] * beta)
        clip = RenderedClip(clip.motion, who, clip.scene, corpus.open_hand())
        sizes.append((clip._arm_shape.length, clip._person.size, clip._poser.palm_size))
    ratio = np.divide(*sizes[::-1])
    assert ratio[2] > 1.1
    np.testing.assert_allclose(ratio[:2], ratio[2], rtol=1e-5)
