"""Frames a second of the software renderer, as for training pictures.

    python benchmarks/rendering.py [--seconds 3]

A frame is the whole of it: the open hand in a new pose with forearm and sleeve (posed beforehand,
as the hand model is not measured here), two lights, shadow, occlusion, background, noise, blur and
JPEG. Each row says for how many threads, each rendering its own frames. The time of a core holds
also when other work shares the machine.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from chereme.hand_model import HandLayer, HandTemplate
from chereme.hands.camera import Camera
from chereme.synthesis.rendering import (
    SKIN,
    Arm,
    ArmShape,
    Film,
    Light,
    Lighting,
    Mesh,
    SkinTone,
    Subdivision,
    clutter,
    render,
    tone_map,
)

# Palm to the camera, fingers up: rows are the camera's axes in the hand's.
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# Columns side, forward and normal of the palm in the hand's own axes.
HAND_FRAME = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
LIGHTING = Lighting(Light((-0.6, -0.7, -0.6)), (Light((0.8, 0.0, -0.5), (0.2, 0.2, 0.25)),))
FILM = Film(vignette=0.2, blur=0.4, jpeg=80)


@dataclass
class Clip:
    """A hand in some poses, and all that stays the same from frame to frame."""

    vertices: np.ndarray  # (N, V, 3)
    wrists: np.ndarray  # (N, 3)
    arm: Arm
    background: np.ndarray
    camera: Camera
    finer: Subdivision | None

    def frame(self, number: int) -> np.ndarray:
        k = number % len(self.vertices)
        elbow = self.wrists[k] + np.array([0.025, 0.25, 0.025])
        meshes = self.arm.place(self.vertices[k], self.wrists[k], UPRIGHT @ HAND_FRAME, elbow)
        if self.finer is not None:
            meshes[0] = self.finer.mesh(meshes[0])
        seen = render(meshes, self.camera, LIGHTING, self.background)
        return tone_map(seen.image, FILM, np.random.default_rng(number))


def make_clip(size: int, *, fine: bool) -> Clip:
    template, rng = HandTemplate.load("open"), np.random.default_rng(0)
    layer = HandLayer(template, flat_hand_mean=True)
    pose = torch.from_numpy(rng.normal(0, 0.15, (16, 45)))
    zeros = torch.zeros(16, 10, dtype=pose.dtype), torch.zeros(16, 3, dtype=pose.dtype)
    out = layer(zeros[0], pose, zeros[1])
    tone, extras = SkinTone(55), template.extras
    hand = Mesh(
        template.v_template,
        template.faces,
        tone.albedo(extras["palmar"], extras["nail"], extras["crease"], extras["flush"]),
        tone.glosses(extras["palmar"], extras["nail"]),
        SKIN,
        template.v_template,
    )
    wrist = template.joint_regressor[0] @ template.v_template
    arm = Arm(ArmShape(), tone, (0.1, 0.15, 0.3), hand, wrist, HAND_FRAME)
    shift = np.array([0.0, 0.0, 0.6])
    return Clip(
        out.vertices.detach().numpy() @ UPRIGHT.T + shift,
        out.joints[:, 0].detach().numpy() @ UPRIGHT.T + shift,
        arm,
        clutter(rng, size, size),
        Camera.from_field_of_view(size, size, 24),
        Subdivision(arm.faces, arm.count) if fine else None,
    )


def measure(clip: Clip, threads: int, seconds: float) -> tuple[float, float]:
    """Frames a second, and milliseconds of a core's time for each."""
    clip.frame(0)  # numba compiles, or loads what it compiled
    stop = time.perf_counter() + seconds

    def work(first: int) -> tuple[int, float]:
        done, busy = 0, time.thread_time()
        while time.perf_counter() < stop:
            clip.frame(first + threads * done)
            done += 1
        return done, time.thread_time() - busy

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done, busy = zip(*pool.map(work, range(threads)), strict=True)
    return sum(done) / (time.perf_counter() - began), 1e3 * sum(busy) / sum(done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("pixels  faces   threads  frames/s  core ms/frame")
    for size, fine in ((128, False), (256, False), (256, True)):
        clip = make_clip(size, fine=fine)
        faces = len((clip.finer or clip.arm).faces)
        for threads in (1, 2):
            rate, cost = measure(clip, threads, options.seconds)
            print(f"{size:6d}  {faces:6d}  {threads:7d}  {rate:8.0f}  {cost:13.2f}", flush=True)


if __name__ == "__main__":
    main()
