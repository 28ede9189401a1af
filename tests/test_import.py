"""Importing chereme is cheap, and its serving half never imports torch."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import chereme
import fakes
from chereme.formats.poses import write_landmarks

RESEARCH = ("nn", "hand_model", "training", "systems", "datasets", "teachers", "synthesis")
SERVING = sorted(
    module.name
    for module in pkgutil.walk_packages(chereme.__path__, "chereme.")
    if module.name.split(".")[1] not in RESEARCH
)
HEAVY = {"torch", "onnxruntime", "av", "PIL", "cv2", "scipy", "matplotlib"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running ``code``."""
    script = (
        f"{code}\nimport sys\nprint('\\n'.join({{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_importing_chereme_imports_next_to_nothing() -> None:
    loaded = loaded_after("import chereme; chereme.__version__")
    assert not loaded & (HEAVY | {"numpy", "typer", "rich", "rapidfuzz", "pose_format", "pympi"})


def test_the_command_starts_light() -> None:
    assert not loaded_after("import chereme.cli") & (HEAVY | {"numpy"})


def test_serving_modules_import_no_heavy_library() -> None:
    """Not even when all of them are imported: each library waits for its first use."""
    assert {"chereme.recognition.fingerspelling", "chereme.cli.app", "chereme.video"} <= set(
        SERVING
    )
    loaded = loaded_after("\n".join(f"import {name}" for name in SERVING))
    assert not loaded & HEAVY


def test_reading_imports_no_torch(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path / "fake")
    write_landmarks(fakes.spell("vail"), tmp_path / "clip.pose")
    loaded = loaded_after(
        "import chereme\n"
        f"transcript = chereme.recognize({str(tmp_path / 'clip.pose')!r}, "
        f"model={str(tmp_path / 'fake')!r})\n"
        "assert transcript.text == 'vail', transcript\n"
    )
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "lightning", "cv2"}


def test_public_names() -> None:
    assert chereme.__version__ == "0.1.0"
    types = {"ContinuousResult", "IsolatedResult", "Transcript"}
    assert set(chereme.__all__) == types | {"__version__", "load", "recognize"}
    from chereme.types import Transcript

    assert chereme.Transcript is Transcript
    with pytest.raises(AttributeError, match="no attribute 'transcribe'"):
        chereme.transcribe  # type: ignore[attr-defined]  # noqa: B018


def test_load_takes_a_folder_and_options(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path / "fake")
    recognizer = chereme.load(tmp_path / "fake", hand="left", beam_width=3)
    assert recognizer.hand == "left"
    assert recognizer.info["decoding"]["beam_width"] == 3
