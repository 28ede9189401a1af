"""``chereme doctor``: what is installed, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

import typer

import chereme
from chereme._imports import require
from chereme.errors import CheremeError

# Distribution -> module that must import, for the main job.
LIBRARIES = {
    "numpy": "numpy",
    "av": "av",
    "mediapipe": "mediapipe",
    "onnxruntime": "onnxruntime",
    "rapidfuzz": "rapidfuzz",
    "pose-format": "pose_format",
    "typer": "typer",
    "rich": "rich",
}
TRAINING = ("torch", "lightning", "jsonargparse", "safetensors", "onnx", "onnxscript")


def doctor() -> None:
    """Check this installation; exit code 0 if signing can be read with it."""
    typer.echo(f"chereme {chereme.__version__} in {os.path.dirname(chereme.__file__)}")
    typer.echo(
        f"Python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} processors"
    )
    good = _check_libraries()
    # Without the libraries the next checks would only repeat what is missing.
    if good:
        good = _check_hand_model() & _check_models()
    _tell_training()
    if good:
        typer.echo("\nAll that is needed to read signing is there.")
    else:
        typer.echo("\nSomething is missing: see the lines marked [no].")
        raise typer.Exit(1)


def _line(good: bool, text: str) -> None:
    typer.echo(f"  {'[ok]' if good else '[no]'} {text}")


def _check_libraries() -> bool:
    typer.echo("\nLibraries")
    found = []
    for distribution, module in LIBRARIES.items():
        try:
            require(module)
            version = importlib.metadata.version(distribution)
        except (CheremeError, importlib.metadata.PackageNotFoundError) as error:
            found.append(False)
            _line(False, f"{distribution}: {error}")
        else:
            found.append(True)
            _line(True, f"{distribution} {version}")
    return all(found)


def _check_hand_model() -> bool:
    typer.echo("\nHand model")
    from chereme.hands.landmarker import find_hand_landmarker

    try:
        path = find_hand_landmarker()
    except CheremeError as error:
        _line(False, str(error))
        return False
    _line(True, f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return True


def _check_models() -> bool:
    typer.echo("\nModels")
    from chereme.runtime.bundle import check_bundle
    from chereme.runtime.registry import MODELS, resolve

    good = True
    for name in MODELS:
        try:
            directory = resolve(name)
            _, sha256, contents = check_bundle(directory)
        except CheremeError as error:
            good = False
            _line(False, f"{name}: {error}")
        else:
            size = sum(len(content) for content in contents.values()) / 1e6
            _line(True, f"{name}: {directory} ({size:.1f} MB), sha256 {sha256}")
    return good


def _tell_training() -> None:
    typer.echo("\nTraining (optional)")
    versions, missing = [], []
    for distribution in TRAINING:
        try:
            versions.append(f"{distribution} {importlib.metadata.version(distribution)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(distribution)
    if versions:
        _line(True, ", ".join(versions))
    if missing:
        python = os.path.basename(sys.executable)
        typer.echo(
            f"  [--] missing: {', '.join(missing)}; only training, export and synthesis need it: "
            f"{python} -m pip install 'chereme[train]'"
        )
