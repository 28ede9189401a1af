"""Recipes and the rows of Table 2 have the sizes of the paper."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recipes import CONFIGS, parsed

from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer

GRU_LAYER = [(480, 160), (480, 160), (480,), (480,)]
LANDMARKS = [
    *[(256, 235), (256,), (256,), (256,), (128, 256), (128,), (128,), (128,)],
    *[(160, 128, 5), (160,), (160,), (160,), (160, 160, 5), (160,), (160,), (160,)],
    *[*GRU_LAYER, *GRU_LAYER],
    *[(480, 320), *GRU_LAYER[1:], (480, 320), *GRU_LAYER[1:]],
    *[(27, 160), (27,), (27, 320), (27,)],
]


RECIPES = ("recipes/paper.yaml", "data/chicagofswild.yaml")


def task(*files: str) -> Any:
    """The task of these files, without memory for its weights."""
    options = () if any("data/" in file for file in files) else ("--data.init_args.shards=[none]",)
    with torch.device("meta"):
        return parsed(*(f"fingerspelling/{file}" for file in files), options=options).model


def millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_the_defaults_are_the_bundled_architecture() -> None:
    """The shapes of the parameters of the recogniser whose weights are in the package."""
    model = FingerspellingRecognizer(FingerspellingConfig())
    assert [tuple(p.shape) for p in model.parameters()] == LANDMARKS
    assert millions(model) * 4 < 8  # megabytes


@pytest.mark.parametrize("recipe", ["paper", "ours"])
def test_paper_has_the_sizes_of_the_paper(recipe: str) -> None:
    model = task(f"recipes/{recipe}.yaml").model
    config, gru = model.config, model.sequence.gru
    assert (config.stream, config.rgb.image_size, model.encoder.feature_dim) == ("rgb", 256, 512)
    assert (gru.num_layers, gru.hidden_size, gru.bidirectional) == (4, 512, True)
    assert config.sequence.temporal_stride == 2
    # ResNet34 21.3, two convolutions of 5 x 512 x 512, four BiGRU layers; 41.3 in all.
    assert millions(model) == pytest.approx(41.3, abs=0.05)


def test_what_the_paper_may_count() -> None:
    """The sums on the paper's page, by hand: it prints 65 million."""

    def gru(inputs: int) -> int:  # four layers, both directions, three gates, two biases
        return 2 * 3 * 512 * (inputs + 512 + 2) + 3 * 2 * 3 * 512 * (1024 + 512 + 2)

    row = task(*RECIPES, "table_2/distil_projected_cosine.yaml")
    sequence = row.model.sequence
    projections = 512 * 256 + 1024 * 256 + 256 * 512 + 256 * 1024 + 2 * 256 + 512 + 1024
    assert sum(p.numel() for p in row.distillation.parameters()) == projections
    assert sum(p.numel() for p in sequence.gru.parameters()) == gru(512)
    rest = millions(row.model) - (21.28 + 5 * 512 * 512 * 2 / 1e6 + gru(512) / 1e6)
    assert rest == pytest.approx(0.05, abs=0.02)  # classifiers, normalisation
    wide = (5 * 512 * 1024 + 5 * 1024 * 1024 - 2 * 5 * 512 * 512 + gru(1024) - gru(512)) / 1e6
    whole = millions(row.model)
    assert projections / 1e6 == pytest.approx(0.8, abs=0.02)
    assert wide == pytest.approx(6.8, abs=0.05)
    assert whole + 21.28 + projections / 1e6 == pytest.approx(63.4, abs=0.05)
    assert whole + wide + gru(1024) / 1e6 == pytest.approx(67.0, abs=0.05)


def test_paper_as_the_recipe_it_follows() -> None:
    model = task("recipes/paper.yaml", "recipes/paper_vac.yaml").model
    assert model.sequence.gru.hidden_size == 256
    assert model.sequence.classifier is model.sequence.visual_classifier
    assert [n for n, _ in model.sequence.classifier.named_parameters()] == ["weight"]
    assert model.config.sequence.temporal_stride == 4


def test_small_is_small() -> None:
    model = task("recipes/small.yaml").model
    assert model.config.rgb.image_size == 112
    assert millions(model) < 6


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in (CONFIGS / "fingerspelling" / "table_2").glob("*.yaml"))
)
def test_rows_of_table_2_share_their_backbone(name: str) -> None:
    if name == "late_fusion":  # of two other rows
        return
    row, base = task(*RECIPES, f"table_2/{name}.yaml"), task(*RECIPES)
    width = 1280 if "vit" in name else 1024
    widths = {"rgb": 512, "pose": width, "rgb+pose": 512 + width}
    assert row.model.encoder.feature_dim == widths[row.config.stream]
    assert row.config.sequence == base.config.sequence
    assert (row.distillation is not None) == name.startswith("distil")
    if row.distillation is not None:
        how = row.distillation.config
        assert row.config == base.config
        assert (how.loss, how.teacher_dim) == (name.split("_")[-1], width)
        assert how.space == ("shared" if "projected" in name else "pose")
        assert row.distillation.project_rgb.in_features == 512


@pytest.mark.parametrize("corpus", ["chicagofswild", "chicagofswildplus", "greek"])
def test_the_rows_of_a_corpus_read_with_the_language_model_of_its_labels(corpus: str) -> None:
    row = parsed("fingerspelling/recipes/paper.yaml", f"fingerspelling/data/{corpus}.yaml")
    lm = parsed("fingerspelling/lm.yaml", f"fingerspelling/lm/{corpus}.yaml")
    decoding = row.model.decoding
    assert (decoding.beam_width, decoding.lm) == (5, f"{lm.config['output']}/lm.onnx")
    assert lm.datamodule.alphabet == row.datamodule.alphabet
    assert lm.model.model.config.vocabulary == len(row.datamodule.alphabet)
    assert lm.datamodule.labels == [f"{row.datamodule.folders('train')[0]}/manifest.csv"]
