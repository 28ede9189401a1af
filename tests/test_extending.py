"""What is added in one new file is used like what came with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import chereme.datasets
import fakes
from chereme.cli import app
from chereme.datasets.pose_clips import PoseCorpus
from chereme.formats.poses import write_landmarks

TOY_DATA_SET = '''
"""Toy signs, for a test."""
from pathlib import Path
from typing import Literal

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.registry import Kind, dataset
from chereme.formats.manifests import Item


@dataset("toy", Kind.SIGNS)
def read(
    root: str | Path, *, case: Literal["upper", "lower"] = "lower", skip: list[str] | None = None
) -> Corpus:
    """Toy signs: landmarks called by their gloss.

    Args:
        root: the folder of the files.
        case: of the labels.
        skip: glosses to leave out.
    """
    builder = CorpusBuilder("Toy")
    for path in sorted(Path(root).glob("*.npz")):
        with builder.row(path.stem):
            if path.stem in (skip or ()):
                raise Unusable("skipped")
            label = path.stem.upper() if case == "upper" else path.stem
            builder.add(Item(path, label, path.stem, split="train"))
    return builder.build({"all": 9})
'''


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_data_set_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY_DATA_SET)
    monkeypatch.setattr(
        chereme.datasets, "__path__", [*chereme.datasets.__path__, str(tmp_path / "more")]
    )
    monkeypatch.setattr(
        chereme.datasets.__spec__, "submodule_search_locations", chereme.datasets.__path__
    )
    for gloss in ("vail", "asl", "bad"):
        write_landmarks(fakes.spell(gloss), tmp_path / f"{gloss}.npz")
    assert "Toy signs: landmarks called by their gloss." in run("prepare", "--help").stdout
    shown = run("prepare", "toy", "--help").stdout
    assert "Glosses to leave out." in shown
    assert "upper" in shown
    assert "--fold" not in shown
    asked = ("--case", "upper", "--skip", "bad", "-o", tmp_path / "out")
    result = run("prepare", "toy", "--root", tmp_path, *asked)
    assert result.exit_code == 0, result.stderr
    assert "Toy: 2 of 3 clips prepared (9 published)" in result.stderr
    assert [entry.label for entry in PoseCorpus(tmp_path / "out").entries] == ["ASL", "VAIL"]
