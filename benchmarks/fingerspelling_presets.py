"""Size and time of the presets of system A, network alone: parameters, and CPU time of one core for
each frame, served (encoder as ONNX float32, sequence model of a whole clip) and trained (forward
and backward of the whole recogniser).

    OMP_NUM_THREADS=1 python benchmarks/fingerspelling_presets.py [PRESET ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import onnxruntime
import torch

from chereme.models.fingerspelling import PRESETS, FingerspellingRecognizer, preset
from chereme.training.export import to_onnx

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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    print(f"{'preset':12} {'M encoder':>10} {'M in all':>9} {'served ms':>10} {'trained ms':>11}")
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
        content = to_onnx(model.encoder, frames[:4], ("frames", "features"), {0: "time"})
        session = onnxruntime.InferenceSession(content, options)
        encoded = core_ms(lambda s=session, x=frames: s.run(None, {"frames": x.numpy()}))
        with torch.no_grad():
            features = model.eval().encode(frames[None])
            sequenced = core_ms(lambda m=model, x=features: m.sequence(x))
        served = encoded + sequenced
        print(f"{name:12} {sizes[0]:10.1f} {sizes[1]:9.1f} {served:10.2f} {trained:11.1f}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PRESETS))
