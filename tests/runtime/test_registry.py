"""The table of bundled models: terms are filled in, names resolve, and cards agree."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakes
from chereme.errors import BundleError, UsageError
from chereme.runtime import registry
from chereme.runtime.bundle import Bundle
from chereme.runtime.registry import MODELS, resolve, resolve_task


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_states_its_terms(model: registry.Model) -> None:
    for text in (model.summary, model.licence.code, model.licence.weights, model.licence.data):
        assert text.strip()
    assert model.task in ("fingerspelling", "isolated", "continuous")


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_is_there_and_agrees_with_the_table(model: registry.Model) -> None:
    bundle = Bundle.load(resolve(model.name))
    assert bundle.config.name == model.name
    assert bundle.config.task == model.task
    assert bundle.config.licence == model.licence
    assert bundle.config.training_data
    assert bundle.config.metrics
    size = sum(path.stat().st_size for path in model.directory.iterdir())
    assert size < 40e6
    assert (model.directory / "encoder.onnx").stat().st_size + (
        model.directory / "sequence.onnx"
    ).stat().st_size <= 8e6


def test_default_model_is_in_the_table() -> None:
    assert registry.DEFAULT in MODELS


def test_a_folder_resolves_to_itself(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path / "fake")
    assert resolve(tmp_path / "fake") == tmp_path / "fake"
    assert resolve(str(tmp_path / "fake")) == tmp_path / "fake"


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model 'fingerspeling'.*fingerspelling"):
        resolve("fingerspeling")


def test_a_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"PK")
    with pytest.raises(BundleError, match="never loaded"):
        Bundle.load(resolve(checkpoint))


def test_missing_weights_say_install_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    with pytest.raises(BundleError, match="install chereme again"):
        resolve("fingerspelling")


def test_tasks() -> None:
    assert resolve_task("fingerspelling") == MODELS["fingerspelling"].directory
    with pytest.raises(UsageError, match=r"no bundled model is for isolated.*fingerspelling"):
        resolve_task("isolated")
