import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chereme.errors import BundleError, InputError
from chereme.hands import landmarker
from chereme.hands.landmarker import WHEEL_MODELS, Landmarker, find_hand_landmarker


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHEREME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CHEREME_HAND_LANDMARKER", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretended mediapipe package with small files for models."""
    package = tmp_path / "wheel" / "mediapipe"
    for number, inside in enumerate(WHEEL_MODELS.values()):
        (package / inside).parent.mkdir(parents=True)
        (package / inside).write_bytes(bytes([number]) * 1000)
    (package / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location("mediapipe", package / "__init__.py")
    monkeypatch.setattr(landmarker.importlib.util, "find_spec", lambda name: spec)
    return package


def bundle(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in WHEEL_MODELS:
            file.writestr(name, content)
    return path


def test_lookup_goes_from_path_to_variable_to_cache_to_wheel(
    cache: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explicit, variable = bundle(tmp_path / "a.task"), bundle(tmp_path / "b.task")
    cached = bundle(cache / "hand_landmarker.task", b"cached")
    monkeypatch.setenv("CHEREME_HAND_LANDMARKER", str(variable))
    assert find_hand_landmarker(explicit) == explicit
    assert find_hand_landmarker() == variable
    monkeypatch.delenv("CHEREME_HAND_LANDMARKER")
    assert find_hand_landmarker() == cached
    with zipfile.ZipFile(cached) as file:
        assert file.read("hand_detector.tflite") == b"cached"  # used, not built again
    cached.unlink()
    assert find_hand_landmarker() == cached
    with zipfile.ZipFile(cached) as file:
        assert file.read("hand_detector.tflite") == bytes(1000)


def test_the_built_bundle_is_stored_uncompressed_and_nothing_else_is_left(
    cache: Path, wheel: Path
) -> None:
    built = find_hand_landmarker()
    with zipfile.ZipFile(built) as file:
        assert {info.filename for info in file.infolist()} == set(WHEEL_MODELS)
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert file.read(info) == (wheel / WHEEL_MODELS[info.filename]).read_bytes()
    assert list(cache.iterdir()) == [built]


def test_a_damaged_cache_is_built_again(cache: Path, wheel: Path) -> None:
    built = find_hand_landmarker()
    whole = built.read_bytes()
    built.write_bytes(whole[:500])
    assert find_hand_landmarker().read_bytes() == whole


def test_a_wheel_without_models_says_what_to_do(cache: Path, wheel: Path) -> None:
    (wheel / WHEEL_MODELS["hand_detector.tflite"]).unlink()
    with pytest.raises(BundleError, match=r"CHEREME_HAND_LANDMARKER.*mediapipe==0\.10\.21"):
        find_hand_landmarker()
    assert not cache.exists() or not list(cache.iterdir())


def test_a_missing_file_and_a_file_that_is_no_bundle_are_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="found none"):
        find_hand_landmarker(tmp_path / "absent.task")
    text = tmp_path / "text.task"
    text.write_text("not a zip")
    with pytest.raises(InputError, match="something else"):
        find_hand_landmarker(text)
    monkeypatch.setenv("CHEREME_HAND_LANDMARKER", str(text))
    with pytest.raises(InputError, match="CHEREME_HAND_LANDMARKER"):
        find_hand_landmarker()


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("CHEREME_HAND_LANDMARKER", raising=False)
    monkeypatch.setenv("CHEREME_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BundleError, match="CHEREME_CACHE"):
        find_hand_landmarker()


def test_a_bundle_with_junk_models_is_refused_on_use(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"junk\.task"):
        Landmarker(bundle(tmp_path / "junk.task"), max_hands=1, follows=False).find(
            np.zeros((8, 8, 3), np.uint8)
        )


def test_mediapipe_keeps_quiet(shared_data: Path) -> None:
    """Not a line on stderr, with a hand in a picture that is not square."""
    photo = sorted((shared_data / "letters_studio" / "b").glob("*.jpeg"))[0]
    code = (
        "import cv2, numpy as np\n"
        "from chereme.hands.landmarker import Landmarker, find_hand_landmarker\n"
        f"photo = np.pad(cv2.imread({str(photo)!r})[..., ::-1], ((100, 100), (300, 200), (0, 0)))\n"
        "hands = Landmarker(find_hand_landmarker(), max_hands=2, follows=True)\n"
        "print(len(hands.find(photo)), len(hands.find(photo)))\n"
        "hands.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1 1\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_is_told_to_spawn_where_mediapipe_would_abort() -> None:
    code = (
        "import os, numpy as np\n"
        "from chereme.errors import UsageError\n"
        "from chereme.hands.detector import MediaPipeDetector\n"
        "def look():\n"
        "    with MediaPipeDetector() as detector:\n"
        "        return detector.detect(np.zeros((64, 64, 3), np.uint8), 0.0)\n"
        "def child(found):\n"
        "    if os.fork() == 0:\n"
        "        try:\n"
        "            found = look()\n"
        "        except UsageError as error:\n"
        "            found = str(error)\n"
        "        print(found, flush=True)\n"
        "        os._exit(0)\n"
        "    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
        "child(None)\n"
        "look()\n"
        "child(None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, status, after, last = done.stdout.splitlines()
    assert (before, status, last) == ("[]", "0", "0")  # the first was forked before any work
    assert "get_context('spawn')" in after
