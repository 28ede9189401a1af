"""People are left out in groups, and what is read of them stands on one page."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes import ROOT

from chereme.datasets.exemplars import Exemplars, concat_exemplars
from chereme.systems.fingerspelling.checkpoints import Checkpoint
from chereme.systems.fingerspelling.encoders import HandEncoderConfig, LandmarkEncoderConfig
from chereme.systems.fingerspelling.left_out import Answer
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.text import ASL_LETTERS
from chereme.types import Token

sys.path.append(str(ROOT / "benchmarks"))
import cross_validation
from people import recordings, results
from recordings import pattern

DATA = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.usefixtures("one_thread")


def small(stream: str) -> Checkpoint:
    landmarks = LandmarkEncoderConfig(hidden=8, feature_dim=8)
    config = FingerspellingConfig(
        stream=stream,  # type: ignore[arg-type]
        landmarks=landmarks,
        hand=HandEncoderConfig(landmarks=landmarks, hidden=8, feature_dim=8),
        sequence=SequenceConfig(conv_dim=8, gru_hidden=8, gru_layers=1),
    )
    return Checkpoint(FingerspellingRecognizer(config).eval(), 30.0, ASL_LETTERS, None)


class NoModel:
    """A language model to which all symbols are alike."""

    def __init__(self, path: Path) -> None:
        assert path.name == "lm.onnx"

    def start(self) -> tuple[()]:
        return ()

    def step(self, states: list[tuple[()]], symbols: list[int]):
        return np.full((len(states), 27), -np.log(27)), states


def test_each_group_of_people_is_left_out_once(
    exemplars: Exemplars,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = exemplars.select(only=("one",))
    few = np.isin(one.label, [*"aeinorst"])  # quicker
    arrays = {n: getattr(one, n) for n in ("landmarks", "label", "signer", "picture", "vectors")}
    one = replace(one, **{name: array[few] for name, array in arrays.items()})
    monkeypatch.setattr(cross_validation.left_out, "FEWEST_LETTERS", 8)
    names = ("ann", "bob", "cam", "cam_unsure", "animation")
    parts = [replace(one, signer=np.full(len(one.signer), n)) for n in names]
    parts = [replace(p, motion_signer=np.array(["ann", "bob_kept"])) for p in parts]
    concat_exemplars(parts).save(tmp_path / "exemplars.npz")
    left_out: dict[str, list[str]] = {}

    def trained(folder: Path, config: str, *options: str) -> Path:
        held = next(o for o in options if "held_out=" in o).partition("=")[2]
        left_out[f"{folder.parent.name}/{config}"] = json.loads(held)
        assert options[-1] == "--more"
        return folder / config

    monkeypatch.setattr(cross_validation, "trained", trained)
    monkeypatch.setattr(cross_validation, "load_checkpoint", lambda path: small(path.name))
    monkeypatch.setattr(cross_validation, "OnnxLanguageModel", NoModel)
    cross_validation.spelling(
        tmp_path / "exemplars.npz",
        tmp_path,
        tmp_path / "lm.onnx",
        folds=2,
        texts=2,
        options=("--more",),
        strangers=tmp_path / "exemplars.npz",
        checkpoints=((Path("landmarks"),), (Path("hand"), Path("hand"))),
    )
    groups = {"1_of_2": ["ann", "cam", "cam_unsure"], "2_of_2": ["bob"]}
    assert left_out == {
        f"{name}/fingerspelling/{config}": group
        for name, group in groups.items()
        for config in ("landmarks", "hand")
    }
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["groups"] == [["ann", "cam"], ["bob"]]
    assert report["decoding"].keys() == {"landmarks", "rgb"}
    of_people = report["people left out"]["still letters"]
    assert of_people.keys() == {"landmarks", "rgb", "fused"}
    assert of_people["fused"]["people"].keys() == {"ann", "bob", "cam", "cam_unsure"}
    assert report["people left out"]["J and Z, recorded"]["rgb"]["items"] == 5
    # Half of the words tuned the decoding.
    parts = "people left out", "hands of strangers"
    assert [report[part]["words"]["rgb"]["items"] for part in parts] == [4, 5]
    assert report["decoding of strangers"].keys() == {"landmarks", "rgb"}
    assert report["doubtful letters"] == []
    assert report["hands of strangers"]["J and Z, recorded"]["rgb"]["items"] == 5
    page = (tmp_path / "report.md").read_text()
    assert "## People left out" in page
    assert "## Hands of strangers" in page
    assert page in capsys.readouterr().out


def test_a_page_shows_the_mean_of_people_and_the_least() -> None:
    given = [
        Answer.of(kind, person, stream, text, [Token(read, 0, 0, 0.75)])
        for kind, person, stream, text, read in (
            ("pictures", "ann", "landmarks", "a", "a"),
            ("pictures", "ann", "landmarks", "b", "a"),
            ("pictures", "bob", "landmarks", "b", "b"),
            ("pictures", "bob", "rgb", "a", "b"),
        )
    ]
    found, page = results(given)
    assert found["pictures"]["landmarks"]["accuracy"] == 75.0
    assert found["pictures"]["landmarks"]["letters"] == {"a": 100.0, "b": 50.0}
    lines = page.splitlines()
    assert lines[0] == (
        "| mean [95 %], least | people | items | landmarks | rgb | landmarks: ECE | rgb: ECE |"
    )
    assert lines[2] == (
        "| pictures | 2 | 3 | 75.0 [50.0, 100.0], 50.0 | 0.0 [0.0, 0.0], 0.0 | 0.083 | 0.750 |"
    )
    assert "| ann | 50.0 |  |" in lines
    assert "| a | 100.0 | 0.0 |" in lines


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder")
def test_recordings_are_of_strangers() -> None:
    found = list(recordings(DATA, None))
    pictures = [item for kind, item in found if kind == "pictures"]
    assert {item.signer for item in pictures} == {"seeeeeeel", "thanakritmos12", "vyshu150"}
    assert {len(item.label) for item in pictures} == {1}
    each = {(item.signer, item.label) for item in pictures}
    assert 6 * len(each) < len(pictures) <= 12 * len(each)
    assert {kind for kind, _ in found} == {"pictures", "real letters", "real video", "real words"}
    assert all(item.path.is_file() for _, item in found)


def test_patterns_are_pictures() -> None:
    for number in range(20):
        picture = pattern(number, np.random.default_rng(number))
        assert (picture.shape, picture.dtype) == ((480, 640, 3), np.uint8)
