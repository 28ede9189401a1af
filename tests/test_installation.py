"""The advice of what to install is right for how chereme was installed; its recipes are found."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from chereme import _installation
from chereme._installation import find_recipe, install_command, reinstall_command
from chereme.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of an environment with a copy of chereme; the folder of what tells of it."""
    site = tmp_path / "site-packages"
    told = site / "chereme-0.1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: chereme\nVersion: 0.1.0\n"
        "Requires-Dist: avatar>=1\nRequires-Dist: av<20,>=18\n"
        "Requires-Dist: numpy<2,>=1.26; python_version < '4'\n"
        'Requires-Dist: onnx>=1.17; extra == "train"\n'
    )
    monkeypatch.setattr(_installation, "PACKAGE", site / "chereme")
    monkeypatch.syspath_prepend(site)
    return told


def arguments(command: str) -> list[str]:
    python, *rest = shlex.split(command)
    assert python == sys.executable
    return rest


def test_in_a_clone_the_clone_is_installed() -> None:
    for extra, target in ((None, f"{ROOT}"), ("ray", f"{ROOT}[ray]")):
        assert arguments(install_command(extra)) == ["-m", "pip", "install", "-e", target]


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        ({"url": "file://{tmp}/a%20clone", "dir_info": {}}, "{tmp}/a clone[ray]"),
        ({"url": "file://{tmp}/chereme.whl", "archive_info": {}}, "{tmp}/chereme.whl[ray]"),
        ({"url": "file://{tmp}/gone.whl", "archive_info": {}}, ".[ray]"),
        (
            {"url": "https://x.test/c.whl", "archive_info": {}},
            "chereme[ray] @ https://x.test/c.whl",
        ),
        (
            {"url": "https://x.test/c", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "chereme[ray] @ git+https://x.test/c@12ab",
        ),
        (None, "chereme[ray]"),
    ],
    ids=["folder", "wheel", "gone", "address", "git", "index"],
)
def test_elsewhere_what_was_installed(
    tmp_path: Path, installed: Path, origin: dict | None, target: str
) -> None:
    (tmp_path / "a clone").mkdir()
    (tmp_path / "chereme.whl").touch()
    if origin is not None:
        text = json.dumps(origin).replace("{tmp}", str(tmp_path))
        (installed / "direct_url.json").write_text(text)
    expected = ["-m", "pip", "install", target.replace("{tmp}", str(tmp_path))]
    assert arguments(install_command("ray")) == expected


def test_training_without_torch_says_how_to_take_the_small_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "CPU build of torch" in install_command("train")
    assert "torch" not in install_command("ray")
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert "torch" not in install_command("train")


@pytest.mark.parametrize(
    ("library", "wanted"), [("av", "av<20,>=18"), ("numpy", "numpy<2,>=1.26"), ("onnx", "onnx")]
)
def test_a_broken_library_is_replaced_within_the_bounds(
    installed: Path, library: str, wanted: str
) -> None:
    assert arguments(reinstall_command(library))[-1] == wanted


def test_recipes_are_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = "configs/fingerspelling/lm.yaml"
    assert Path(find_recipe(recipe)) == ROOT / recipe
    # One's own goes before.
    (tmp_path / "configs" / "fingerspelling").mkdir(parents=True)
    (tmp_path / recipe).touch()
    assert find_recipe(recipe) == recipe
    for missing in ("configs/none.yaml", "configs", "mine.yaml"):
        (tmp_path / "configs").rename(tmp_path / "moved")
        with pytest.raises(InputError, match="no such file"):
            find_recipe(missing)
        (tmp_path / "moved").rename(tmp_path / "configs")


def test_the_wheel_carries_recipes_and_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    builder = wheel.WheelBuilder(str(ROOT))
    names = zipfile.ZipFile(next(builder.build(directory=str(tmp_path)))).namelist()
    recipes = {str(p.relative_to(ROOT)) for p in (ROOT / "configs").rglob("*") if p.is_file()}
    assert {f"chereme/{name}" for name in recipes} <= set(names)
    assert "chereme/weights/fingerspelling/encoder.onnx" in names
    assert "chereme/recognition/font/DejaVuSans-Bold.ttf" in names
    assert "chereme/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"chereme", "chereme-0.1.0.dist-info"}
    # Where there is no clone, the recipes are looked for in the package.
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as file:
        file.extractall(tmp_path / "site")
    monkeypatch.setattr(_installation, "PACKAGE", tmp_path / "site" / "chereme")
    monkeypatch.chdir(tmp_path)
    assert find_recipe("configs/signx/paper.yaml").startswith(str(tmp_path / "site"))


def test_the_versions_of_python_are_told_alike() -> None:
    assert PROJECT["requires-python"] == ">=3.11,<3.15"
    versions = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: " in line]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert "(3, 11) <= sys.version_info[:2] < (3, 15)" in (ROOT / "Makefile").read_text()
    assert "Python 3.11 to 3.14" in (ROOT / "README.md").read_text()
