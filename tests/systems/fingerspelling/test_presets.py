"""Named recognisers have the sizes that they are named for."""

from __future__ import annotations

import pytest
import torch

from chereme.errors import UsageError
from chereme.systems.fingerspelling.distillation import PoseDistillation
from chereme.systems.fingerspelling.presets import PRESETS, preset, table_2
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer

GRU_LAYER = [(480, 160), (480, 160), (480,), (480,)]
LANDMARKS = [
    *[(256, 235), (256,), (256,), (256,), (128, 256), (128,), (128,), (128,)],
    *[(160, 128, 5), (160,), (160,), (160,), (160, 160, 5), (160,), (160,), (160,)],
    *[*GRU_LAYER, *GRU_LAYER],
    *[(480, 320), *GRU_LAYER[1:], (480, 320), *GRU_LAYER[1:]],
    *[(27, 160), (27,), (27, 320), (27,)],
]


def on_meta(config: FingerspellingConfig) -> FingerspellingRecognizer:
    with torch.device("meta"):
        return FingerspellingRecognizer(config)


def millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_landmarks_are_the_bundled_architecture() -> None:
    """The shapes of the parameters of the recogniser whose weights are in the package."""
    model = FingerspellingRecognizer(preset("landmarks"))
    assert [tuple(p.shape) for p in model.parameters()] == LANDMARKS
    assert millions(model) * 4 < 8  # megabytes
    assert preset("landmarks") == FingerspellingConfig()


def test_paper_has_the_sizes_of_the_paper() -> None:
    config = preset("paper")
    model = on_meta(config)
    assert (config.stream, config.rgb.image_size, model.encoder.feature_dim) == ("rgb", 256, 512)
    gru = model.sequence.gru
    assert (gru.num_layers, gru.hidden_size, gru.bidirectional) == (4, 512, True)
    assert config.sequence.temporal_stride == 2
    # ResNet34 21.3, two convolutions of 5 x 512 x 512, four BiGRU layers; 41.3 in all.
    assert millions(model) == pytest.approx(41.3, abs=0.05)


def test_paper_as_the_recipe_it_follows() -> None:
    model = on_meta(preset("paper_vac"))
    assert model.sequence.gru.hidden_size == 256
    assert model.sequence.classifier is model.sequence.visual_classifier
    assert [n for n, _ in model.sequence.classifier.named_parameters()] == ["weight"]
    assert preset("paper_vac").sequence.temporal_stride == 4


def test_small_is_small() -> None:
    model = on_meta(preset("small"))
    assert preset("small").rgb.image_size == 112
    assert millions(model) < 6


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match=r"expected one of landmarks, paper, .*got 'large'"):
        preset("large")


@pytest.mark.parametrize("base", ["paper", "small"])
def test_rows_of_table_2(base: str) -> None:
    rows = table_2(PRESETS[base], vit_dim=40, transformer_dim=30)
    assert len(rows) == 11
    feature_dim = PRESETS[base].rgb.widths[-1]
    widths = {"rgb": feature_dim, "pose": 30, "rgb+pose": feature_dim + 30}
    for name, row in rows.items():
        assert (row.teacher is None) == (name == "rgb")
        assert (row.distillation is not None) == name.startswith("distil")
        if row.config is None:
            assert name == "late_fusion"
            assert all(rows[part].config is not None for part in row.fuses)
            continue
        model = on_meta(row.config)
        expected = 40 if name == "pose_vit" else widths[row.config.stream]
        assert model.encoder.feature_dim == expected
        assert row.config.sequence == PRESETS[base].sequence  # "the same recognition backbone"
        if row.distillation is not None:
            assert row.config == PRESETS[base]
            assert row.distillation.loss == name.split("_")[-1]
            assert row.distillation.space == ("shared" if "projected" in name else "pose")
            distillation = PoseDistillation(row.distillation, feature_dim)
            assert distillation.project_rgb.in_features == feature_dim
            assert row.distillation.teacher_dim == (40 if "vit" in name else 30)
