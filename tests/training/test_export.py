"""Checkpoints of every system become bundles that read as the networks do; else nothing is written.

What is a system's own is in the tests of its folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fake_models
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.errors import BundleError, UsageError
from chereme.recognition.bundle import Bundle
from chereme.training import export as exporting
from chereme.training.export import Outputs, compare, export, find_spec

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS = list(fake_models.CHECKPOINTS)
DESCRIPTION = {
    "name": "mine",
    "licence": {"code": "MIT", "weights": "CC0-1.0", "data": "my own"},
    "training_data": [{"name": "kitchen", "clips": 12}],
    "metrics": [{"test_set": "kitchen, held out", "top1": 91.7}],
    "task": "what the checkpoint knows better is taken from it",
}
SMALLER = {"landmarks": ("half",), "signx": ("int8", "half"), "signx_video": ("int8", "half")}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {kind: save(folder / f"{kind}.ckpt") for kind, save in fake_models.CHECKPOINTS.items()}


@pytest.fixture(scope="module")
def exported(checkpoints: dict[str, Path]) -> Callable[[str], Bundle]:
    """The bundle of a kind, described."""

    @cache
    def of(kind: str) -> Bundle:
        folder = checkpoints[kind].parent / kind
        return export(checkpoints[kind], folder, description=DESCRIPTION)

    return of


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


# -- what is written ------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_says_what_it_is(exported: Callable[[str], Bundle], kind: str) -> None:
    bundle = exported(kind)
    config = Bundle.load(bundle.directory).config
    assert bundle.config == config
    assert (config.name, config.licence.weights) == ("mine", "CC0-1.0")
    told, compared = config.metrics
    assert told["top1"] == 91.7
    assert compared["test_set"].startswith("ONNX Runtime against PyTorch: ")
    assert 0 <= compared["log_probability_difference"] < 2e-3
    assert compared["symbols_changed"] == 0 < compared["symbols"]
    card = (bundle.directory / "MODEL_CARD.md").read_text()
    for text in ("# mine", "CC0-1.0", "kitchen", "91.7"):
        assert text in card


def test_a_file_describes_it_and_a_card_goes_along(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "card.md").write_text("# Mine\n")
    (tmp_path / "about.json").write_text(json.dumps({"name": "again"}))
    further = {"description": tmp_path / "about.json", "model_card": tmp_path / "card.md"}
    bundle = export(checkpoints["landmarks"], tmp_path / "model", **further)
    assert bundle.config.name == "again"
    assert (tmp_path / "model" / "MODEL_CARD.md").read_text() == "# Mine\n"
    again = export(checkpoints["landmarks"], tmp_path / "model", **further)
    assert again.sha256 == bundle.sha256


@pytest.mark.parametrize(("kind", "how"), SMALLER.items())
def test_smaller_weights_are_compared(
    checkpoints: dict[str, Path],
    exported: Callable[[str], Bundle],
    tmp_path: Path,
    kind: str,
    how: tuple[str, ...],
) -> None:
    whole = exported(kind)
    small = export(checkpoints[kind], tmp_path / "small", **dict.fromkeys(how, True))
    exact, changed = small.config.metrics
    assert changed["test_set"].startswith(
        "half-precision weights" if how == ("half",) else "int8 and half-precision weights against"
    )
    assert changed["log_probability_difference"] > exact["log_probability_difference"]
    sizes = [sum(p.stat().st_size for p in b.directory.glob("*.onnx")) for b in (whole, small)]
    assert sizes[1] < sizes[0]


def test_a_description_goes_into_the_objects_of_the_config(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    """Key by key, what the checkpoint knows comes first."""
    described = {"segmentation": {"max_gap": 0.9, "bridge": 3.0}, "decoding": {"beam_width": 3}}
    config = export(checkpoints["rgb"], tmp_path / "a", description=described).config
    assert (config.segmentation.max_gap, config.segmentation.bridge) == (0.9, 0.0)
    assert config.decoding.beam_width == 3
    described = {"abstention": {"min_probability": 0.4}}
    config = export(checkpoints["signbert"], tmp_path / "b", description=described).config
    assert (config.abstention.min_probability, config.abstention.other) == (0.4, False)
    described = {"preprocessing": {"needs_hands": False, "rate": 99.0}}
    config = export(checkpoints["signx"], tmp_path / "c", description=described).config
    assert (config.preprocessing.needs_hands, config.preprocessing.rate) == (False, 20.0)


def test_the_command(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    made = run(checkpoints["signx"], "-o", tmp_path / "model", "--half")
    assert (made.exit_code, made.stdout) == (0, ""), made.output
    assert f"model, sha256 {Bundle.load(tmp_path / 'model').sha256}" in made.stderr
    assert "half-precision weights against float32: 3 batches of random clips: 0 of" in made.stderr


# -- what is refused ------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_networks_that_differ_are_not_written(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    made = find_spec(checkpoints[kind])
    wrong = find_spec(checkpoints[kind])
    with torch.no_grad():
        for traced in wrong.networks.values():
            for parameter in traced.module.parameters():
                parameter.add_(0.1 * torch.arange(parameter.numel()).view(parameter.shape) % 0.7)
    networks = wrong.onnx()
    monkeypatch.setattr(exporting.ExportSpec, "onnx", lambda self, config: networks)
    monkeypatch.setattr(exporting, "find_spec", lambda checkpoint: made)
    with pytest.raises(BundleError, match="give other log-probabilities than PyTorch's, by up to"):
        export(checkpoints[kind], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_is_no_number_differs() -> None:
    for one, other in ((0.0, np.nan), (np.nan, 0.0)):
        outputs = [Outputs([np.array([1.0]), np.array([x])], "ab") for x in (one, other)]
        found = compare(lambda _: outputs[0], lambda _: outputs[1], [None])  # noqa: B023
        assert np.isnan(found.difference)
    # A form that read NaN reads no further.
    cut = [Outputs([np.zeros(2), np.zeros(3)], "abc"), Outputs([np.full(2, np.nan)], "")]
    found = compare(lambda _: cut[0], lambda _: cut[1], [None])
    assert np.isnan(found.difference)
    assert (found.symbols, found.changed) == (3, 3)


def test_a_model_of_nan_is_not_written(tmp_path: Path) -> None:
    broken = fake_models.signx()
    assert broken.ctc is not None
    broken.ctc.classifier.bias.data[0] = torch.nan
    checkpoint = fake_models.save_signx(tmp_path / "best.ckpt", broken)
    with pytest.raises(BundleError, match="other log-probabilities than PyTorch's, by up to nan"):
        export(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", ["landmarks", "hand_aware", "signx"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[1]", "JSON object"),
        ('{"nmae": "x"}', "nmae"),
        ('{"metrics": [{}]}', "test_set"),
        ('{"preprocessing": 3}', "preprocessing: expected an object, got 3"),
    ],
)
def test_wrong_descriptions(
    checkpoints: dict[str, Path], tmp_path: Path, kind: str, text: str, message: str
) -> None:
    (tmp_path / "about.json").write_text(text)
    with pytest.raises(BundleError, match=rf"about\.json.*{message}"):
        export(checkpoints[kind], tmp_path / "model", description=tmp_path / "about.json")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("signx", {"lexicon": "words.txt"}, "lexicon: the checkpoint .*'signx'.* expected lm"),
        ("signx", {"others": ["a.ckpt"]}, "others: the checkpoint .*'signx'.* expected lm"),
        ("signbert", {"crops": "x.npy"}, "crops: the checkpoint .*'signbert'.* no such option"),
        ("signbert", {"half": True}, "half: .* has no network for it; leave it out"),
        ("hand_aware", {"int8": True}, "int8: .* has no network for it; leave it out"),
        ("landmarks", {"int8": True}, "int8: .* has no network for it; leave it out"),
        ("landmarks", {"crops": "x.npy"}, "crops are of RGB models, got one of landmarks"),
        ("rgb", {"int8": True}, "give them with --crops"),
    ],
)
def test_options_of_other_models(
    checkpoints: dict[str, Path],
    tmp_path: Path,
    kind: str,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        export(checkpoints[kind], tmp_path / "model", **options)
    given = [
        a
        for k, v in options.items()
        for a in (f"--{k}", *(v if isinstance(v, list) else [v]))
        if a is not True
    ]
    refused = run(checkpoints[kind], "-o", tmp_path / "model", *given)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert not (tmp_path / "model").exists()


def test_errors_in_one_line(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.doc").write_text("work")
    good = checkpoints["landmarks"]
    for named, arguments in {
        "none.ckpt: no such checkpoint": (tmp_path / "none.ckpt", "-o", tmp_path / "b"),
        "text.ckpt: expected": (tmp_path / "text.ckpt", "-o", tmp_path / "b"),
        "thesis.doc": (good, "-o", full),
        "no.json": (good, "-o", tmp_path / "b", "--description", tmp_path / "no.json"),
    }.items():
        result = run(*arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert result.stderr.startswith("chereme: error: ")
        assert named in result.stderr


@pytest.mark.parametrize(
    "content", [{"state_dict": {}}, [1, 2], torch.zeros(3), {"recogniser": {}, "state_dict": {}}]
)
def test_checkpoints_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(BundleError, match=r"other\.ckpt: expected the checkpoint of a recogniser"):
        export(tmp_path / "other.ckpt", tmp_path / "model")


@pytest.mark.parametrize("entry", ["recognizer", "signbert", "hand_aware", "signx"])
def test_checkpoints_with_an_entry_alone(tmp_path: Path, entry: str) -> None:
    for number, content in enumerate((5, {}, {"kind": "video2gloss"}, {"config": {"wings": 2}})):
        path = tmp_path / f"odd{number}.ckpt"
        torch.save({"state_dict": {}, entry: content}, path)
        with pytest.raises(BundleError, match=r"odd\d\.ckpt: expected a checkpoint of"):
            export(path, tmp_path / "model")


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_checkpoint_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    mark, path = tmp_path / "executed", tmp_path / "last.ckpt"
    content = {"state_dict": {}, "recognizer": {}, "callbacks": Hostile(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BundleError, match=r"last\.ckpt.*could run code") as refused:
        export(path, tmp_path / "bundle")
    # torch advises to switch the protection off.
    assert "weights_only" not in str(refused.value)
    assert "system" in str(refused.value)
    assert not mark.exists()
    assert not (tmp_path / "bundle").exists()
    torch.load(path, weights_only=False)  # the file would have done it
    assert mark.exists()
