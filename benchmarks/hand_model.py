"""Speed of the hand layer beside smplx's linear blend skinning, in one process.

    python benchmarks/hand_model.py [--threads 2] [--seconds 3]

A random hand of MANO's size (778 vertices, 16 joints, 10 betas, pose blend shapes), axis-angle
poses in single precision. The two take turns, call by call, and the quickest call of each counts:
the others tell what else the machine was doing. (Where it is busy, set OMP_WAIT_POLICY=passive, or
take one thread: threads that wait for each other by spinning measure nothing else.) smplx (pip
install smplx: non-commercial, for comparison only) gives vertices and 16 joints; ours the 21
landmarks too. 'gradients' is the forward pass and the backward pass from the sum of the vertices to
betas and pose.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from smplx.lbs import lbs

from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.template import PARENTS

BATCHES = (1, 64, 1024)


def random_hand() -> HandTemplate:
    rng = np.random.default_rng(0)
    return HandTemplate(
        name="random",
        side="right",
        licence="none",
        v_template=rng.normal(0, 0.05, (778, 3)),
        shapedirs=rng.normal(0, 0.005, (778, 3, 10)),
        posedirs=rng.normal(0, 0.002, (778, 3, 135)),
        joint_regressor=rng.dirichlet(np.full(778, 0.1), 16),
        weights=rng.dirichlet(np.full(16, 0.3), 778),
        faces=rng.integers(0, 778, (1538, 3)),
        parents=np.array(PARENTS),
        components=np.eye(45),
        pose_mean=np.zeros(45),
        tips={"hamer": (744, 320, 443, 554, 671)},
    )


def smplx_layer(hand: HandTemplate) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def single(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32)

    arrays = (
        single(hand.v_template),
        single(hand.shapedirs),
        single(hand.posedirs.reshape(-1, 135).T),
        single(hand.joint_regressor),
        torch.tensor(hand.parents),
        single(hand.weights),
    )

    def forward(betas: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        return lbs(betas, pose, *arrays)[0]

    return forward


def best_times(calls: list[Callable[[], object]], seconds: float) -> list[float]:
    """Milliseconds of each call at best, all taking turns for so many seconds."""
    for call in calls * 3:
        call()
    best = [float("inf")] * len(calls)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, call in enumerate(calls):
            began = time.perf_counter()
            call()
            best[i] = min(best[i], 1000 * (time.perf_counter() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each comparison")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    hand = random_hand()
    layer, smplx = HandLayer(hand, flat_hand_mean=True), smplx_layer(hand)

    def ours(betas: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        return layer(betas, pose[:, 3:], pose[:, :3]).vertices

    print(f"milliseconds a call, {options.threads} threads, torch {torch.__version__}")
    print(f"{'batch':>6} {'':10} {'smplx':>8} {'chereme':>8} {'ratio':>6}")
    for batch in BATCHES:
        betas, pose = torch.randn(batch, 10), 0.5 * torch.randn(batch, 48)
        torch.testing.assert_close(ours(betas, pose), smplx(betas, pose), atol=1e-6, rtol=0)
        for gradients in (False, True):
            inputs = [t.clone().requires_grad_(gradients) for t in (betas, pose)]

            def run(
                function: Callable[..., torch.Tensor],
                inputs: list[torch.Tensor] = inputs,
                gradients: bool = gradients,
            ) -> None:
                vertices = function(*inputs)
                if gradients:
                    torch.autograd.grad(vertices.sum(), inputs)

            theirs, mine = best_times(
                [lambda run=run: run(smplx), lambda run=run: run(ours)], options.seconds
            )
            name = "gradients" if gradients else "forward"
            print(f"{batch:6} {name:10} {theirs:8.3f} {mine:8.3f} {theirs / mine:6.2f}")


if __name__ == "__main__":
    main()
