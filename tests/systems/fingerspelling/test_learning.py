"""The RGB recogniser, taught with all six losses, learns a few clips by heart."""

from __future__ import annotations

import torch

from chereme.decoding import greedy
from chereme.nn.masking import length_mask
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.distillation import DistillationConfig, PoseDistillation
from chereme.systems.fingerspelling.losses import LossConfig, fingerspelling_losses
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig

TEXTS = [[1, 2, 3], [3, 3, 1], [4, 2], [2]]


def test_texts_are_learnt_by_heart() -> None:
    """Each letter is a pattern held for some frames; doubles are parted by an empty picture."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(5, 3, 32, 32, generator=generator)
    poses = torch.randn(5, 10, generator=generator)
    patterns[0] = 0.0
    held = [[s for letter in text for s in (letter, letter, letter, 0, 0)] for text in TEXTS]
    lengths, counts = torch.tensor([len(h) for h in held]), torch.tensor([len(t) for t in TEXTS])
    frames = torch.tensor([h + [0] * (int(lengths.max()) - len(h)) for h in held])
    targets = torch.tensor([t + [0] * (3 - len(t)) for t in TEXTS])
    mask = length_mask(lengths, frames.shape[1])

    torch.manual_seed(0)
    config = FingerspellingConfig(
        stream="rgb",
        rgb=ResNetEncoderConfig(depths=(1, 1), widths=(8, 12), image_size=32),
        sequence=SequenceConfig(num_symbols=5, conv_dim=24, gru_hidden=24, dropout=0.0),
    )
    model = FingerspellingRecognizer(config)
    distillation = PoseDistillation(DistillationConfig(teacher_dim=10, shared_dim=8), 12)
    optimizer = torch.optim.Adam([*model.parameters(), *distillation.parameters()], lr=5e-3)
    values = []
    for _ in range(80):
        features = model.encode(patterns[frames], lengths)
        sequence, visual, steps = model.sequence(features, lengths)
        recognition = fingerspelling_losses(
            sequence, visual, steps, targets, counts, LossConfig(kd_weight=1.0)
        )
        guidance = distillation(features, poses[frames], mask)
        optimizer.zero_grad()
        (recognition.total + guidance.total).backward()
        optimizer.step()
        values.append((recognition.total.item(), guidance.total.item()))
    assert values[-1][0] < 0.1 * values[0][0]
    assert values[-1][1] < 0.5 * values[0][1]

    model.eval()
    with torch.no_grad():
        logits, _, steps = model(patterns[frames], lengths)
    assert steps is not None
    read = [
        list(greedy(row[:n].log_softmax(-1).double().numpy()).symbols)
        for row, n in zip(logits, steps.tolist(), strict=True)
    ]
    assert read == TEXTS
