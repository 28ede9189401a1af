"""The table of bundled models: terms are filled in, names resolve, and cards agree."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakes
from chereme.errors import BundleError, UsageError
from chereme.recognition import registry
from chereme.recognition.bundle import Bundle, read_config
from chereme.recognition.registry import MODELS, bundled_streams, family_for, resolve
from chereme.recognition.streams import parts_of


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_states_its_terms(model: registry.Model) -> None:
    licence = read_config(model.directory)[0].licence
    for text in (model.summary, licence.code, licence.weights, licence.data):
        assert text.strip()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_is_there_and_agrees_with_the_table(model: registry.Model) -> None:
    bundle = Bundle.load(resolve(model.name), model.task)
    assert bundle.config.name == model.name
    assert bundle.config.input == model.input
    assert bundle.config.training_data
    assert bundle.config.metrics
    if model.input == "landmarks":
        networks = [path for path in model.directory.glob("*.onnx") if path.name != "lm.onnx"]
        assert 0 < sum(path.stat().st_size for path in networks) <= 8e6


def test_all_models_together_are_small() -> None:
    paths = [path for model in MODELS.values() for path in model.directory.iterdir()]
    assert sum(path.stat().st_size for path in paths) <= 40e6


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
    assert family_for("fingerspelling") == "fingerspelling"
    assert family_for("isolated") == "fingerspelled_letters"
    with pytest.raises(UsageError, match=r"no bundled model is for continuous.*fingerspelling"):
        family_for("continuous")


@pytest.mark.parametrize("family", sorted({model.family for model in MODELS.values()}))
def test_models_of_a_family_read_the_same_from_different_inputs(family: str) -> None:
    members = [model for model in MODELS.values() if model.family == family]
    assert len({model.stream for model in members}) == len(members)
    assert len({model.task for model in members}) == 1
    if members[0].task == "fingerspelling":
        alphabets = {Bundle.load(model.directory).config.alphabet for model in members}
        assert len(alphabets) == 1
    streams = bundled_streams(family)
    assert all(MODELS[name].stream == one for one, name in streams.items())


def test_what_the_default_stream_needs_is_bundled() -> None:
    there = set(bundled_streams(registry.DEFAULT))
    # Landmarks always: files of landmarks are read by it whatever the default is.
    assert {"landmarks", *parts_of(registry.DEFAULT_STREAM)} <= there
    assert 0 <= registry.RGB_WEIGHT <= 1


def test_a_folder_is_no_family(tmp_path: Path) -> None:
    assert bundled_streams(tmp_path) == {}
