"""A motion, a signer and a scene -> the frames of a video, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.hand_model import HandLayer
from chereme.hands.skeleton import palm_size
from chereme.synthesis.arm_ik import Reach, eased, reachable
from chereme.synthesis.rendering.arm import Arm
from chereme.synthesis.rendering.film import tone_map
from chereme.synthesis.rendering.mesh import SKIN, Mesh
from chereme.synthesis.rendering.renderer import Quality, render, render_moving
from chereme.synthesis.rendering.subdivision import Subdivision
from chereme.synthesis.retargeting import Pose, Poser
from chereme.synthesis.scenes import Scene
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion
from chereme.types import Landmarks

Floats = NDArray[np.floating[Any]]
SUBSTEPS = 4  # poses a frame, so that a shutter can be open for a quarter, half, or three quarters
_STILL = 0.7  # pixels of movement during the exposure below which nothing blurs
_LARGE = 80.0  # pixels of palm above which the mesh is refined
# From the pit of the neck: where the other hand rests, and how far it moves from there.
_RESTING, _WANDERING = np.array([0.13, 0.24, -0.22]), 0.09
_OUT_OF_SIGHT = 2.2  # times the length of a forearm: where no body is seen, nor is the arm's end
_MODEL_FRAME = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class _Hand:
    """A hand in the scene, as a right one; ``axis`` is the x about which a left one is mirrored."""

    pose: Pose
    vertices: Floats  # (N, V, 3)
    joints: Floats  # (N, 21, 3)
    elbows: Floats  # (N, 3)
    shoulder: Floats | None  # (3,), where the signer is in sight
    axis: float | None

    def mirrored(self, points: Floats) -> Floats:
        return points if self.axis is None else _mirrored(points, self.axis)

    @property
    def frames(self) -> Floats:
        """``(N, 3, 3)`` columns side, forward, normal of the palm: the model's +z, -x and -y."""
        frames: Floats = self.pose.global_orient @ _MODEL_FRAME
        return frames


class RenderedClip:
    """One clip: ``frames()`` renders it, ``landmarks`` and ``truth`` say what it shows.

    Args:
        motion: of the signing hand, ``SUBSTEPS`` poses a frame.
        other: of the other hand, as if it were a right one, or None.
        layer: the hand model, a right hand, flat mean.
        seed: of the camera's noise.

    Coordinates of the truth are the camera's: x right, y down, z away, metres.
    """

    def __init__(
        self,
        motion: Motion,
        signer: Signer,
        scene: Scene,
        layer: HandLayer,
        *,
        other: Motion | None = None,
        seed: int = 0,
    ) -> None:
        self.motion, self.signer, self.scene = motion, signer, scene
        self._layer, self._seed = layer, seed
        self._poser = Poser(layer, signer.betas)
        self.count = (len(motion.times) - 1) // SUBSTEPS
        self._open = round(scene.shutter * SUBSTEPS)
        rest = torch.zeros(2, 10)
        rest[1] = _tensor(signer.betas)
        with torch.no_grad():
            joints = layer(rest, torch.zeros(2, 45), torch.zeros(2, 3)).joints.double().numpy()
        self._wrist = joints[1, 0]
        # The whole body is in proportion to the hand.
        size = float(np.divide(*palm_size(joints)[::-1]))
        self._arm_shape = signer.arm.scaled(size)
        self._person = replace(signer.person, size=signer.person.size * size)
        self._neck = scene.origin + scene.stand * self._person.size
        self._hands = [self._hand(motion, scene.origin, None)]
        if other is not None:
            self._hands.append(self._other(other))

    def _other(self, other: Motion) -> _Hand:
        """The hand that signs nothing: it stays near where it rests."""
        wandering = other.hand.wrist * (self._poser.palm_size / _WANDERING)
        near = np.tanh(wandering) * (_WANDERING / self._poser.palm_size)
        resting = replace(other, hand=other.hand.replace(wrist=near))
        at = self._neck + _RESTING * self._person.size
        return self._hand(resting, at, float(self._neck[0]), signs=False)

    def _hand(
        self, motion: Motion, origin: Floats, axis: float | None, *, signs: bool = True
    ) -> _Hand:
        """``axis``: the hand is a left one, mirrored about this x."""
        needed = self.count * SUBSTEPS + 1
        shoulder = self._person.shoulder(self._neck, -1)
        start = origin if axis is None else _mirrored(origin, axis)
        pose = self._poser.pose(motion.hand[:needed], start)
        lengths = self._arm_shape.length, self._arm_shape.upper
        joint = pose.transl + self._wrist
        wrist = reachable(joint, shoulder, lengths)
        pose = replace(pose, transl=pose.transl + wrist - joint)
        reach = Reach(wrist, shoulder, lengths, float(motion.times[1] - motion.times[0]))
        if signs:
            forearm = reach.signing(pose.global_orient @ _MODEL_FRAME)
        else:
            # A hand that signs nothing need not be held in any special way.
            forearm = reach.resting()
            turn = eased(forearm, pose.global_orient @ _MODEL_FRAME)
            pose = replace(pose, global_orient=turn @ pose.global_orient)
        with torch.no_grad():
            out = self._layer(
                _tensor(pose.betas[None]),
                _tensor(pose.hand_pose),
                _tensor(pose.global_orient),
                _tensor(pose.transl),
            )
        return _Hand(
            pose,
            out.vertices.numpy(),
            out.joints.numpy(),
            wrist + lengths[0] * forearm,
            shoulder if self.scene.body else None,
            axis,
        )

    # -- the truth ----------------------------------------------------------------------------
    @cached_property
    def _middle(self) -> NDArray[np.int64]:
        """The pose in the middle of each exposure."""
        middle: NDArray[np.int64] = np.arange(self.count) * SUBSTEPS + self._open // 2
        return middle

    @property
    def rate(self) -> float:
        """Frames a second."""
        return float(1 / (self.motion.times[SUBSTEPS] - self.motion.times[0]))

    @property
    def timestamps(self) -> Floats:
        """``(T,)`` seconds from the clip's start."""
        return np.asarray(self.motion.times[::SUBSTEPS][: self.count])

    @cached_property
    def joints(self) -> Floats:
        """``(T, H, 21, 3)`` in the camera frame; the signing hand is the first."""
        hands = [hand.mirrored(hand.joints[self._middle]) for hand in self._hands]
        joints = np.stack(hands, axis=1)
        return joints * _MIRROR if self.signer.left_handed else joints

    @cached_property
    def elbows(self) -> Floats:
        """``(T, H, 3)`` in the camera frame, of the same hands."""
        elbows = np.stack([h.mirrored(h.elbows[self._middle]) for h in self._hands], axis=1)
        return elbows * _MIRROR if self.signer.left_handed else elbows

    @cached_property
    def handedness(self) -> tuple[str, ...]:
        """Of each hand."""
        sides = ("left", "right") if self.signer.left_handed else ("right", "left")
        return sides[: len(self._hands)]

    @property
    def camera(self) -> Any:
        """As it is for the finished pictures: of left-handed signers they are mirrored."""
        c = self.scene.camera
        if not self.signer.left_handed:
            return c
        return type(c)(c.fx, c.fy, c.width - c.cx, c.cy, c.width, c.height)

    @cached_property
    def landmarks(self) -> Landmarks:
        """The joints as a perfect detector would see them: pixels, z relative to the wrist."""
        camera, joints = self.camera, self.joints
        depth = (joints[..., 2] - joints[..., :1, 2]) * camera.fx / joints[..., :1, 2]
        points = np.concatenate([camera.project(joints), depth[..., None]], axis=-1)
        return Landmarks(
            points.astype(np.float32),
            np.ones(points.shape[:3], np.float32),
            self.timestamps,
            camera.width,
            camera.height,
            self.handedness,  # type: ignore[arg-type]
            (joints - joints.mean(axis=2, keepdims=True)).astype(np.float32),
        )

    @cached_property
    def truth(self) -> dict[str, Any]:
        """Parameters of the hand model for each frame and hand, and the camera.

        ``global_orient (T, H, 3)`` and ``hand_pose (T, H, 15, 3)`` axis-angle, ``transl (T, H, 3)``
        metres, ``betas (H, 10)``; a left hand's are those of the mirrored template. ``joints
        (T, H, 21, 3)`` metres; ``camera (4,)`` fx, fy, cx, cy in pixels."""
        rows: dict[str, list[Floats]] = {"global_orient": [], "hand_pose": [], "transl": []}
        for hand, side in zip(self._hands, self.handedness, strict=True):
            pose = hand.pose
            orient = Rotation.from_matrix(pose.global_orient[self._middle]).as_rotvec()
            bends = Rotation.from_matrix(pose.hand_pose[self._middle].reshape(-1, 3, 3)).as_rotvec()
            shift = hand.mirrored(pose.transl[self._middle])
            if self.signer.left_handed:
                shift = shift * _MIRROR
            # A mirror turns the axes of rotations over, all but the one across it.
            sign = -_MIRROR if side == "left" else np.ones(3)
            rows["global_orient"].append(orient * sign)
            rows["hand_pose"].append((bends * sign).reshape(-1, 15, 3))
            rows["transl"].append(shift)
        camera = self.camera
        return {
            **{name: np.stack(v, axis=1).astype(np.float32) for name, v in rows.items()},
            "betas": np.stack([h.pose.betas for h in self._hands]).astype(np.float32),
            "joints": self.joints.astype(np.float32),
            "camera": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
            "hand_model": self._layer.template.name,
        }

    # -- the pictures -------------------------------------------------------------------------
    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """``count`` pictures ``(H, W, 3)`` RGB."""
        background, behind = self._backdrop()
        scene = replace(self.scene, background=background)
        for frame in range(self.count):
            image = self._picture(frame, scene, behind)
            yield np.ascontiguousarray(image[:, ::-1]) if self.signer.left_handed else image

    def windows(
        self, frames: NDArray[np.intp], boxes: Floats
    ) -> Iterator[tuple[NDArray[np.uint8], tuple[int, int]]]:
        """Of some pictures the part ``(h, w, 3)`` about a box, and that part's left and top.

        ``frames (N,)``: which; ``boxes (N, 4)``: left, top, right and bottom in the pixels of
        ``scene.camera``. The pictures of left-handed signers are not mirrored here. A part is
        rendered by itself, which takes a fraction of the time of the whole; what the lens and the
        shutter do to it is as there, the noise is other noise, and its corners are darker.
        """
        background, behind = self._backdrop()
        for frame, (left, top, right, bottom) in zip(frames, boxes, strict=True):
            margin = 0.1 * (right - left) + 4  # for what shrinking takes from beyond the box
            width, height = self.scene.camera.width, self.scene.camera.height
            x = int(np.clip(left - margin, 0, width - 8))
            y = int(np.clip(top - margin, 0, height - 8))
            across = slice(x, max(x + 8, min(int(right + margin) + 1, width)))
            down = slice(y, max(y + 8, min(int(bottom + margin) + 1, height)))
            camera = self.scene.camera.window(x, y, across.stop - x, down.stop - y)
            part = replace(self.scene, camera=camera, background=background[down, across])
            seen = None if behind is None else behind[down, across]
            yield self._picture(int(frame), part, seen), (x, y)

    def _picture(self, frame: int, scene: Scene, behind: Floats | None) -> NDArray[np.uint8]:
        """A picture of a part of the scene, or of all of it: of what ``scene.camera`` sees."""
        first = frame * SUBSTEPS
        opening, closing = self._meshes(first), self._meshes(first + self._open)
        moved = max(
            float(np.abs(scene.camera.project(h.joints[first + self._open])
                         - scene.camera.project(h.joints[first])).max())
            for h in self._hands
        )  # fmt: skip
        if moved < _STILL:
            picture = render(opening, scene.camera, scene.lighting, scene.background, behind=behind)
        else:
            picture = render_moving(
                opening,
                closing,
                scene.camera,
                scene.lighting,
                scene.background,
                Quality(samples=1),
                behind,
                steps=int(np.clip(np.ceil(moved / 2), 4, 8)),
            )
        rng = np.random.default_rng([self._seed, frame])
        return tone_map(picture.image, scene.film, rng)

    def _backdrop(self) -> tuple[Floats, Floats | None]:
        """The room and, standing still in it, the signer's body; and how far the body is."""
        scene = self.scene
        if not scene.body:
            return scene.background, None
        meshes = self._person.place(self._neck, hanging=(False, len(self._hands) == 1))
        seen = render(meshes, scene.camera, scene.lighting, scene.background)
        return seen.image, seen.depth

    @cached_property
    def _arm(self) -> Arm:
        template, skin = self._layer.template, self.signer.skin
        extras = template.extras
        palmar, nail = extras["palmar"], extras["nail"]
        hand = Mesh(
            template.v_template + template.shapedirs @ self.signer.betas,
            template.faces,
            skin.albedo(palmar, nail, extras["crease"], extras["flush"]),
            skin.glosses(palmar, nail),
            SKIN,
            template.v_template,
        )
        shape = self._arm_shape
        if not self.scene.body:
            shape = replace(shape, length=_OUT_OF_SIGHT * shape.length)
        cloth = self.signer.person.cloth
        return Arm(shape, skin, cloth, hand, self._wrist, _MODEL_FRAME, self._seed)

    @cached_property
    def _finer(self) -> Subdivision | None:
        camera, depth = self.scene.camera, self.scene.origin[2]
        if camera.fy * self._poser.palm_size / depth < _LARGE:
            return None
        return Subdivision(self._arm.faces, self._arm.count)

    def _meshes(self, step: int) -> list[Mesh]:
        """Hands and arms at one of the poses."""
        meshes: list[Mesh] = []
        for hand in self._hands:
            wrist, elbow = hand.joints[step, 0], hand.elbows[step]
            if hand.shoulder is None:
                elbow = wrist + _OUT_OF_SIGHT * (elbow - wrist)
            parts = self._arm.place(
                hand.vertices[step], wrist, hand.frames[step], elbow, hand.shoulder
            )
            if self._finer is not None:
                parts[0] = self._finer.mesh(parts[0])
            if hand.axis is not None:
                parts = [
                    m.replace(vertices=hand.mirrored(m.vertices), faces=m.faces[:, ::-1])
                    for m in parts
                ]
            meshes += parts
        return meshes


def _mirrored(points: Floats, axis: float) -> Floats:
    mirrored: Floats = points * _MIRROR + np.array([2 * axis, 0.0, 0.0])
    return mirrored


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
