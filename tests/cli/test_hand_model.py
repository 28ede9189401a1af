"""``chereme hand-model``."""

from __future__ import annotations

import os
import pickle
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.hand_model import HandTemplate
from fake_hands import fingers_to, mano_content, python2_pickle, random_template


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["hand-model", "convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def right() -> HandTemplate:
    hand = random_template(0)
    return replace(hand, **fingers_to(-1, hand))


def write(path: Path, content: Any) -> Path:
    path.write_bytes(python2_pickle(content))
    return path


def test_convert(tmp_path: Path, right: HandTemplate) -> None:
    source = write(tmp_path / "MANO_RIGHT.pkl", mano_content(right))
    target = tmp_path / "made" / "right.safetensors"
    result = convert(source, "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    for word in (
        "mano, right hand, 778 vertices, 1538 faces, 16 joints, 10 betas, 45 pose components",
        "fingertips hamer, manopth, papers",
        "no redistribution",
    ):
        assert word in result.stderr
    assert "warning" not in result.stderr
    np.testing.assert_array_equal(HandTemplate.load(target).shapedirs, right.shapedirs)


def test_convert_a_left_hand(tmp_path: Path, right: HandTemplate) -> None:
    left = right.mirrored()
    released = mano_content(left) | {"shapedirs": right.shapedirs * [[1.0], [1.0], [1.0]]}
    source = write(tmp_path / "MANO_LEFT.pkl", released)
    target = tmp_path / "left.safetensors"
    result = convert(source, "-o", target)
    assert result.exit_code == 0
    assert "warning" in result.stderr
    assert "--right MANO_RIGHT.pkl" in result.stderr
    other = write(tmp_path / "MANO_RIGHT.pkl", mano_content(right))
    result = convert(source, "-o", target, "--right", other, "--overwrite")
    assert result.exit_code == 0
    assert "warning" not in result.stderr
    np.testing.assert_array_equal(HandTemplate.load(target).shapedirs, left.shapedirs)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_convert_refuses_what_is_no_mano_file(tmp_path: Path) -> None:
    source, target = tmp_path / "MANO_RIGHT.pkl", tmp_path / "right.safetensors"
    source.write_bytes(pickle.dumps({"v_template": Hostile()}))
    result = convert(source, "-o", target)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "which this reader does not allow; nothing of it was run" in result.stderr
    assert not target.exists()


def test_convert_wants_safetensors(tmp_path: Path) -> None:
    result = convert(tmp_path / "MANO_RIGHT.pkl", "-o", tmp_path / "right.npz")
    assert result.exit_code == 2
    assert "ends in .safetensors" in result.stderr


def test_convert_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = convert(tmp_path / "MANO_RIGHT.pkl", "-o", tmp_path / "right.safetensors")
    assert result.exit_code == 1
    assert "[train]'" in result.stderr


def test_sheet(tmp_path: Path) -> None:
    from chereme.synthesis.handshapes import COLUMNS, bundled

    shapes = [shape for shape in bundled("asl") if shape.letter in "ab"]
    table = tmp_path / "mine.csv"
    with table.open("w", encoding="utf-8") as file:
        print(*COLUMNS, sep=",", file=file)
        for s in shapes:
            angles = [s.angles[name] for name in COLUMNS[5:-1]]
            print(s.letter, s.variant, s.turn, s.tilt, s.roll, *angles, "", sep=",", file=file)
    picture = tmp_path / "made" / "mine.jpg"
    result = CliRunner().invoke(app, ["hand-model", "sheet", str(table), "-o", str(picture)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"mine.jpg: {len(shapes)} handshapes of 2 letters" in result.stderr
    assert picture.read_bytes()[:2] == b"\xff\xd8"  # a JPEG


def test_sheet_says_what_is_wrong_with_a_table(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("letter,variant\na,b\n", encoding="utf-8")
    arguments = ["hand-model", "sheet", str(table), "-o", str(tmp_path / "x.png")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "other.csv: expected a table of handshapes with the columns" in result.stderr
    result = CliRunner().invoke(app, ["hand-model", "sheet", "-o", str(tmp_path / "x.gif")])
    assert result.exit_code == 2
    assert "ends in .jpg, .jpeg, .png" in result.stderr


def test_help() -> None:
    shown = CliRunner().invoke(app, ["hand-model", "--help"]).stdout
    assert "convert" in shown
    assert "sheet" in shown
    assert "reconstruct" in shown


# -- reconstruct ----------------------------------------------------------------------------------
def reconstruct(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["hand-model", "reconstruct", *map(str, arguments)])


def photograph(shared_data: Path) -> Path:
    """Of a right hand."""
    return sorted((shared_data / "letters_wild" / "w").glob("*.jpg"))[2]


def checkpoint(path: Path, kind: str, model: Any) -> Path:
    import torch

    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    about = {"kind": kind, "config": asdict(model.config)}
    torch.save({"state_dict": state, "hand_aware": about}, path)
    return path


def test_reconstruct(tmp_path: Path, shared_data: Path) -> None:
    page = tmp_path / "made" / "mesh.jpg"
    result = reconstruct(photograph(shared_data), "-o", page)
    assert result.exit_code == 0
    found = re.fullmatch(
        r"mean 2-D re-projection error: (\d\.\d\d)% of the palm's length\n", result.stdout
    )
    assert found
    assert 0 < float(found[1]) < 6
    assert "mesh.jpg: right hand in 1 frame\n" in result.stderr
    assert page.read_bytes()[:2] == b"\xff\xd8"  # a JPEG


def test_reconstruct_by_a_network(tmp_path: Path, shared_data: Path) -> None:
    from chereme.nn.resnet import ResNetEncoderConfig
    from chereme.nn.st_gcn import StGcnConfig
    from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer

    config = HandAwareConfig(
        classes=2,
        rgb=ResNetEncoderConfig(depths=(1, 1), widths=(4, 6), image_size=32),
        graph=StGcnConfig(channels=(6, 8), strides=(1, 2), kernel=3),
    )
    model = checkpoint(tmp_path / "best.ckpt", "hands", HandAwareRecognizer(config))
    page = tmp_path / "mesh.png"
    result = reconstruct(photograph(shared_data), "-o", page, "--model", model)
    assert result.exit_code == 0
    error = float(result.stdout.split(": ")[1].split("%")[0])
    assert 10 < error < 200  # it has learnt nothing, and draws the mean hand
    assert page.is_file()


def test_reconstruct_says_which_models_make_no_hands(tmp_path: Path) -> None:
    from chereme.systems.hand_aware.baselines import HandKeypointConfig, HandKeypointRecognizer

    source, page = tmp_path / "clip.mp4", tmp_path / "mesh.jpg"
    partner = HandKeypointRecognizer(HandKeypointConfig(classes=2))
    model = checkpoint(tmp_path / "best.ckpt", "hand_keypoints", partner)
    result = reconstruct(source, "-o", page, "--model", model)
    assert result.exit_code == 2
    assert "makes hands of crops, got one of kind hand_keypoints" in result.stderr
    model.write_bytes(b"no weights")
    result = reconstruct(source, "-o", page, "--model", model)
    assert result.exit_code == 1
    assert "best.ckpt: expected a checkpoint of the hand-model-aware recogniser" in result.stderr
    result = reconstruct(source, "-o", page, "--model", model, "--template", "open")
    assert result.exit_code == 2
    assert "give one" in result.stderr


def test_reconstruct_without_a_hand_writes_nothing(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (320, 240), (90, 120, 90)).save(tmp_path / "wall.png")
    for name in ("mesh.jpg", "mesh.mp4"):
        result = reconstruct(tmp_path / "wall.png", "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "wall.png: expected a hand in at least one of 1 frames, found none" in result.stderr
    result = reconstruct(tmp_path / "absent.mp4", "-o", tmp_path / "mesh.mp4")
    assert result.exit_code == 1
    assert "absent.mp4" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["wall.png"]
    assert "MANO_RIGHT.pkl" in convert("--help").stdout
