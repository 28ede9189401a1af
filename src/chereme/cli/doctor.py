"""``chereme doctor``: what is installed, whether it works, and what to do where it does not."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import typer

import chereme
from chereme._imports import require
from chereme._installation import install_command, reinstall_command
from chereme.errors import CheremeError, MissingDependencyError

# Distribution -> module that must import, for the main job.
LIBRARIES = {
    "numpy": "numpy",
    "av": "av",
    "onnxruntime": "onnxruntime",
    "rapidfuzz": "rapidfuzz",
    "pose-format": "pose_format",
    "pillow": "PIL",
    "typer": "typer",
    "rich": "rich",
}
EXAMPLE = [(480, 640, 3)] * 25  # the shapes of the pictures of the film that is tried
TRAINING = (
    "torch",
    "lightning",
    "jsonargparse",
    "safetensors",
    "onnx",
    "onnxscript",
    "opencv-python-headless",
)


def doctor() -> None:
    """Check this installation, by reading a short film; exit code 0 if all of it works."""
    typer.echo(f"chereme {chereme.__version__} in {os.path.dirname(chereme.__file__)}")
    typer.echo(
        f"Python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} processors"
    )
    good = _check_libraries()
    # Without the libraries the next checks would only repeat what is missing.
    if good:
        good = _check_hand_networks() & _check_models() and _try_them()
    _tell_training()
    if good:
        typer.echo("\nAll that is needed to read signing is there, and works.")
    else:
        typer.echo("\nSomething is missing or broken: see the lines marked [no].")
        raise typer.Exit(1)


def _line(good: bool, text: str) -> None:
    typer.echo(f"  {'[ok]' if good else '[no]'} {text}")


def _check_libraries() -> bool:
    typer.echo("\nLibraries")
    found = []
    for distribution, module in LIBRARIES.items():
        good = False
        try:
            require(module)
            text = f"{distribution} {importlib.metadata.version(distribution)}"
            good = True
        except MissingDependencyError as error:
            text = f"{distribution}: {error}"
        except Exception as error:  # a library that is damaged, or does not fit another
            text = _broken(distribution, "cannot be imported", error)
        found.append(good)
        _line(good, text)
    return all(found)


def _broken(distribution: str, what: str, error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"{distribution} {what} ({reason}); put a version in its place that chereme knows: "
        f"{reinstall_command(distribution)}"
    )


def _check_hand_networks() -> bool:
    typer.echo("\nHand networks")
    from chereme.hands.networks import NAMES, read_hand_network

    good = True
    for name in NAMES:
        try:
            path, content = read_hand_network(name)
        except CheremeError as error:
            good = False
            _line(False, str(error))
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            _line(True, f"{name}: {path} ({len(content) / 1e6:.1f} MB), sha256 {sha256}")
    return good


def _check_models() -> bool:
    typer.echo("\nModels")
    from chereme.recognition.bundle import check_bundle
    from chereme.recognition.registry import MODELS, resolve

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


class _Trial(NamedTuple):
    """``run`` does with ``distribution`` what ``what`` says, on a film at the path that it gets."""

    distribution: str
    what: str
    run: Callable[[Path], None]


def _write_and_read(film: Path) -> None:
    from chereme.recognition.profiling import example_frames
    from chereme.video import open_video, write_video

    write_video(film, example_frames(), 24.0)
    with open_video(film) as video:
        shapes = [frame.image.shape for frame in video]
    if shapes != EXAMPLE:
        raise ValueError(f"{len(EXAMPLE)} pictures were written, {len(shapes)} read")


def _find_hand(film: Path) -> None:
    from chereme.hands.detector import OnnxHandDetector
    from chereme.recognition.profiling import example_frames

    with OnnxHandDetector(still=True) as detector:
        if not detector.detect(example_frames()[0], 0.0):
            raise ValueError("the hand of the example was not found")


def _read_letters(film: Path) -> None:
    chereme.load("fingerspelling", stream="fused").recognize(film)


def _read_one_letter(film: Path) -> None:
    chereme.load("fingerspelled_letters").recognize(film)


TRIALS = (
    _Trial("av", "writes and reads a video", _write_and_read),
    _Trial("onnxruntime", "finds a hand", _find_hand),
    _Trial("onnxruntime", "reads letters", _read_letters),
    _Trial("onnxruntime", "reads one letter", _read_one_letter),
)


def _try_them() -> bool:
    """Use the libraries as reading does. What comes first is needed by what comes after."""
    typer.echo("\nAt work")
    with tempfile.TemporaryDirectory() as folder:
        for trial in TRIALS:
            # Said before: a library may take the whole process with it.
            typer.echo(f"  {trial.distribution} {trial.what}: ", nl=False)
            try:
                trial.run(Path(folder) / "film.mp4")
            except Exception as error:
                version = importlib.metadata.version(trial.distribution)
                typer.echo("[no] " + _broken(trial.distribution, f"{version} did not", error))
                return False
            typer.echo("[ok]")
    return True


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
        typer.echo(
            f"  [--] missing: {', '.join(missing)}; only training, export and synthesis need it: "
            f"{install_command('train')}"
        )
