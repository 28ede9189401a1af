"""MANO's layer against smplx's, on as many processors as ``threads``.

    python tools/hand_layer_speed.py --threads 2

smplx (pip install smplx: non-commercial, for comparison only) makes a random hand of MANO's size by
linear blend skinning, of axis-angle poses in single precision. Ours gives 21 landmarks too. The two
take turns, and the quickest round of each counts.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jsonargparse import auto_cli

from chereme.hand_model import HandLayer, HandTemplate


def main(threads: int = 1, rounds: int = 200) -> None:
    from smplx.lbs import lbs

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    sizes = {"v_template": (778, 3), "shapedirs": (778, 3, 10), "posedirs": (778, 3, 135)}
    parts = {name: rng.normal(0, 0.005, shape) for name, shape in sizes.items()}
    parts |= {"joint_regressor": rng.dirichlet(np.full(778, 0.1), 16)}
    parts |= {"weights": rng.dirichlet(np.full(16, 0.3), 778)}
    faces, tips = rng.integers(0, 778, (1538, 3)), {"hamer": (744, 320, 443, 554, 671)}
    hand = replace(HandTemplate.load("open"), **parts, faces=faces, tips=tips, extras={})
    layer = HandLayer(hand, flat_hand_mean=True)
    parts["posedirs"] = hand.posedirs.reshape(-1, 135).T
    tensors = {name: torch.tensor(part, dtype=torch.float32) for name, part in parts.items()}
    weights = tensors.pop("weights")
    others = (*tensors.values(), torch.tensor(hand.parents), weights)
    for batch in (1, 64, 1024):
        betas, pose = torch.randn(batch, 10), 0.5 * torch.randn(batch, 48)
        theirs = partial(lbs, betas, pose, *others)
        ours = partial(layer, betas, pose[:, 3:], pose[:, :3])
        torch.testing.assert_close(ours().vertices, theirs()[0], atol=1e-6, rtol=0)
        best = {"smplx": np.inf, "chereme": np.inf}
        for _ in range(rounds):
            for name, run in zip(best, (theirs, ours), strict=True):
                began = time.perf_counter()
                run()
                best[name] = min(best[name], 1000 * (time.perf_counter() - began))
        print(f"{batch}:", *(f"{name} {ms:.3f} ms" for name, ms in best.items()))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
