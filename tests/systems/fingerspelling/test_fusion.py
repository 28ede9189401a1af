"""Early and late fusion of two streams."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from chereme.errors import UsageError
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.encoders import VectorEncoderConfig
from chereme.systems.fingerspelling.fusion import LateFusion
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig

BASE = FingerspellingConfig(
    rgb=ResNetEncoderConfig(depths=(1,), widths=(4,)),
    pose=VectorEncoderConfig(dim=5),
    sequence=SequenceConfig(num_symbols=6, conv_dim=8, gru_hidden=4),
)


def recognizer(stream: str, **changes: object) -> FingerspellingRecognizer:
    sequence = replace(BASE.sequence, **changes)  # type: ignore[arg-type]
    config = replace(BASE, stream=stream, sequence=sequence)  # type: ignore[arg-type]
    return FingerspellingRecognizer(config).eval()


def test_late_fusion_is_the_mean_of_the_logits() -> None:
    rgb, pose = recognizer("rgb"), recognizer("pose", gru_hidden=7)
    frames = [torch.rand(2, 9, 3, 32, 32), torch.randn(2, 9, 5)]
    lengths = torch.tensor([9, 4])
    sequence, visual, steps = LateFusion([rgb, pose])(frames, lengths)
    one, other = rgb(frames[0], lengths), pose(frames[1], lengths)
    torch.testing.assert_close(sequence, (one[0] + other[0]) / 2)
    torch.testing.assert_close(visual, (one[1] + other[1]) / 2)
    assert steps is not None
    assert steps.tolist() == [5, 2]


@pytest.mark.parametrize("changes", [{"kernels": "vac"}, {"num_symbols": 9}])
def test_late_fusion_of_what_does_not_fit(changes: dict) -> None:
    with pytest.raises(UsageError, match="one temporal stride and one number of symbols"):
        LateFusion([recognizer("rgb"), recognizer("pose", **changes)])


def test_early_fusion_puts_features_side_by_side() -> None:
    model = recognizer("rgb+pose")
    crops, vectors = torch.rand(2, 4, 3, 32, 32), torch.randn(2, 4, 5)
    features = model.encode([crops, vectors])
    assert features.shape == (2, 4, 9)
    assert torch.equal(features[..., 4:], vectors)
    torch.testing.assert_close(features[..., :4], model.encoder.encoders[0](crops))


def test_unknown_stream() -> None:
    with pytest.raises(UsageError, match=r"stream: expected landmarks, hand, rgb, .*got 'flow'"):
        recognizer("flow")
