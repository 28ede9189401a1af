"""Size and time of the presets of system A, network alone: parameters, and CPU time of one core for
each frame, served (the networks of a bundle, in float32 and with an int8 encoder) and trained
(forward and backward of the whole recogniser).

    OMP_NUM_THREADS=1 python benchmarks/fingerspelling_presets.py [PRESET ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from chereme.recognition.bundle import ENCODER, SEQUENCE, open_network
from chereme.systems.fingerspelling.export import example_frames, onnx_networks
from chereme.systems.fingerspelling.presets import PRESETS, preset
from chereme.systems.fingerspelling.recognizer import FingerspellingRecognizer
from chereme.training.compression import half_weights, int8_encoder

FRAMES = 24


def core_ms(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU milliseconds for each frame, the least of some runs: other work on the machine counts
    little in it."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * min(times) / FRAMES


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(
        f"{'preset':12} {'M encoder':>10} {'M in all':>9} {'trained ms':>11}   "
        "encoder: MB, ms; as int8: MB, ms; sequence network: MB, ms; half precision: MB"
    )

    def served(content: bytes, **inputs: np.ndarray) -> str:
        session = open_network(content, Path("network.onnx"), 1)
        milliseconds = core_ms(lambda: session.run(None, inputs))
        return f"{len(content) / 1e6:6.1f} {milliseconds:7.2f}"

    for name in names:
        config = preset(name)
        model = FingerspellingRecognizer(config)
        side = config.rgb.image_size
        shape = (
            (3, side, side) if config.stream == "rgb" else (config.landmarks.features_per_frame,)
        )
        frames = torch.rand(FRAMES, *shape)
        sizes = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (model.encoder, model)]

        def train(
            model: FingerspellingRecognizer = model, clip: torch.Tensor = frames[None]
        ) -> None:
            sequence, visual, _ = model.train()(clip, torch.tensor([FRAMES]))
            (sequence.sum() + visual.sum()).backward()

        trained = core_ms(train)
        networks = onnx_networks(model.eval())
        frames = example_frames(model, FRAMES).numpy()
        columns = [served(networks[ENCODER], frames=frames)]
        if config.stream == "rgb":
            crops = frames.transpose(0, 2, 3, 1)
            columns.append(served(int8_encoder(networks[ENCODER], [crops]), frames=frames))
        features = np.zeros((1, FRAMES, model.encoder.feature_dim), np.float32)
        columns.append(served(networks[SEQUENCE], features=features))
        columns.append(f"{len(half_weights(networks[SEQUENCE])) / 1e6:6.1f}")
        print(f"{name:12} {sizes[0]:10.1f} {sizes[1]:9.1f} {trained:11.1f}   " + "; ".join(columns))


if __name__ == "__main__":
    main(sys.argv[1:] or list(PRESETS))
