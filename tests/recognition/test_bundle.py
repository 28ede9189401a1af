"""Bundles: what is written loads and runs, and whatever was tampered with is refused."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import fake_signing
import fake_signs
import fakes
from chereme.errors import BundleError, UsageError
from chereme.recognition import bundle as bundle_module
from chereme.recognition.bundle import Bundle, check_bundle, read_config, write_bundle
from chereme.recognition.config import SCHEMA_VERSION, SigningPreprocessing, Still
from chereme.recognition.registry import WEIGHTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fakes.make_bundle(tmp_path / "fake")
    return tmp_path / "fake"


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "config.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def put(folder: Path, name: str, content: bytes) -> None:
    """Replace or add a file with its right hash, as somebody who makes a hostile bundle would."""
    (folder / name).write_bytes(content)
    edit(folder, lambda data: data["files"].__setitem__(name, hashlib.sha256(content).hexdigest()))


def test_networks_run_as_their_weights_say(folder: Path) -> None:
    bundle = Bundle.load(folder)
    weights, bias = fakes.templates()
    frames = np.random.default_rng(0).normal(size=(5, weights.shape[0])).astype(np.float32)
    features = bundle.encoder.run(["features"], {"frames": frames})[0]
    np.testing.assert_allclose(features, frames @ weights + bias, rtol=1e-3, atol=1e-3)
    log_probs = bundle.sequence.run(["log_probs"], {"features": features[None]})[0][0]
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1.0, rtol=1e-5)


def test_hash_of_the_bundle_changes_with_any_file(tmp_path: Path) -> None:
    one = fakes.make_bundle(tmp_path / "one")
    same = fakes.make_bundle(tmp_path / "same")
    other = write_bundle(
        tmp_path / "other",
        one.config,
        {name: tmp_path / "one" / name for name in ("encoder.onnx", "sequence.onnx")}
        | {"MODEL_CARD.md": b"# another card\n"},
    )
    assert one.sha256 == same.sha256 != other.sha256


def test_a_changed_file_is_refused(folder: Path) -> None:
    path = folder / "encoder.onnx"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"encoder\.onnx has changed: expected SHA-256 .* got"):
        Bundle.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "sequence.onnx").unlink()
    with pytest.raises(BundleError, match=r"sequence\.onnx is missing"):
        Bundle.load(folder)


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"weights of somebody else")
    with pytest.raises(BundleError, match=r"extra\.bin is not listed"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/passwd", "sub/encoder.onnx", "run.py"])
def test_other_names_and_paths_are_refused(folder: Path, name: str) -> None:
    edit(folder, lambda data: data["files"].__setitem__(name, "0" * 64))
    with pytest.raises(BundleError, match=r"expected only encoder\.onnx"):
        Bundle.load(folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (folder / "encoder.onnx").rename(outside)
    (folder / "encoder.onnx").symlink_to(outside)
    with pytest.raises(BundleError, match="a link that leaves the bundle"):
        Bundle.load(folder)


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


def test_a_pickle_under_an_onnx_name_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "ran"
    put(folder, "encoder.onnx", pickle.dumps(Bomb(target)))
    with pytest.raises(BundleError, match=r"expected an ONNX network, but the file is a pickle"):
        Bundle.load(folder)
    assert not target.exists()


def test_an_archive_of_torch_under_an_onnx_name_is_refused(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Bomb(tmp_path / "ran")))
    put(folder, "sequence.onnx", archive.read_bytes())
    with pytest.raises(BundleError, match="the file is a pickle"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["model.pt", "weights.pkl", "last.ckpt"])
def test_a_listed_pickle_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    put(folder, name, pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(BundleError, match="pickled files can run code"):
        Bundle.load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "model.pkl"])
def test_a_checkpoint_given_as_the_model_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(BundleError, match="chereme export"):
        Bundle.load(path)
    assert not (tmp_path / "ran").exists()


def test_weights_outside_the_file_are_refused(folder: Path, tmp_path: Path) -> None:
    model = onnx.load_from_string((folder / "encoder.onnx").read_bytes())
    onnx.save_model(model, tmp_path / "encoder.onnx", save_as_external_data=True, size_threshold=0)
    put(folder, "encoder.onnx", (tmp_path / "encoder.onnx").read_bytes())
    with pytest.raises(BundleError, match="keeps its weights in another file"):
        Bundle.load(folder)


def test_a_broken_network_is_refused(folder: Path) -> None:
    put(folder, "encoder.onnx", b"\x08\x09 but then no more of ONNX")
    with pytest.raises(BundleError, match="expected an ONNX network, got a damaged one"):
        Bundle.load(folder)
    put(folder, "encoder.onnx", b"\x08\x09\x3a\x00")  # a graph of nothing
    with pytest.raises(BundleError, match="ONNX Runtime cannot load it"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("{", '{"name": "other",', 1), "the key 'name' comes twice"),
        (lambda text: text.replace("30.0", "NaN", 1), "NaN is no number of JSON"),
        (lambda text: text.replace("30.0", "Infinity", 1), "Infinity is no number of JSON"),
        (lambda text: text.replace("30.0", "9" * 5000, 1), "not valid JSON"),
        (lambda text: text.replace("30.0", "9" * 400, 1), "expected a number, got a larger number"),
        (lambda text: text.replace("30.0", "1e999", 1), "expected a number, got inf"),
        (lambda text: "[" * 100_000, "not valid JSON"),
        (lambda text: "[" * 100_000 + "]" * 100_000, "nested"),
        (lambda text: '{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
        (lambda text: '{"a":' * 30 + "1" + "}" * 30, "nested deeper than 20"),
        (lambda text: '"' + "x" * (17 << 20) + '"', "at most 16,777,216 bytes"),
        (lambda text: "\0" * 100, "not valid JSON"),
        (lambda text: "", "not valid JSON"),
    ],
)
def test_hostile_json_is_refused(folder: Path, change: Callable[[str], str], message: str) -> None:
    path = folder / "config.json"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_pipes_in_the_place_of_files_are_refused(folder: Path) -> None:
    for name in ("MODEL_CARD.md", "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(BundleError, match=r"(is missing|has no config)"):
            Bundle.load(folder)


def test_a_language_model_is_the_one_that_was_hashed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is swapped after its hash was compared is not opened."""
    whole = shutil.copytree(WEIGHTS / "fingerspelling", folder / "whole")
    checked = bundle_module.check_bundle

    def swap(directory: Path) -> Any:
        found = checked(directory)
        (whole / "lm.onnx").write_bytes(b"another")
        return found

    monkeypatch.setattr(bundle_module, "check_bundle", swap)
    assert Bundle.load(whole).language_model is not None


def test_a_language_model_of_another_alphabet_is_refused(folder: Path) -> None:
    put(folder, "lm.onnx", (WEIGHTS / "fingerspelling" / "lm.onnx").read_bytes())
    with pytest.raises(BundleError, match=r"lm\.onnx gives 27 symbols, but .* are 7"):
        Bundle.load(folder)


def test_a_newer_schema_says_upgrade(folder: Path) -> None:
    edit(folder, lambda data: data.update(schema_version=SCHEMA_VERSION + 1, something_new=1))
    newer = rf"version {SCHEMA_VERSION + 1} is newer than {SCHEMA_VERSION}.*install a newer chereme"
    with pytest.raises(BundleError, match=newer):
        Bundle.load(folder)


MAKE = {
    "letters": fakes.make_bundle,
    "crops": functools.partial(fakes.make_bundle, stream="rgb"),
    "signs": fake_signs.make_signs,
    "signing": fake_signing.make_signing,
}
# What is changed in the config of a fake bundle, to what (GONE: it is left out), and what is said.
WRONG = """
letters | alphabet | GONE | the key 'alphabet' is missing
letters | licence.data | GONE | the key 'licence.data' is missing
letters | temporal_strid | 2 | unknown key 'temporal_strid'
letters | decoding.beamwidth | 3 | unknown key 'decoding.beamwidth'
letters | temporal_stride | true | temporal_stride: expected an integer, got True
letters | temporal_stride | 0 | temporal_stride: expected 1 to 1024, got 0
letters | temporal_stride | 10000000000000000000000000000000000000000 | 1024, got a larger number
letters | decoding.beam_width | 1000000000 | beam_width: expected 1 to 1000, got
letters | decoding.alpha | 1e300 | alpha: expected -1000 to 1000, got 1e+300
letters | decoding.temperature | 0 | decoding.temperature: expected 0.01 to 100, got 0
letters | decoding.beta | -1e9 | decoding.beta: expected -1000 to 1000
letters | decoding.min_probability | 2 | min_probability: expected 0 to 1
letters | segmentation.bridge | -1 | segmentation.bridge: expected 0 to 3600
letters | segmentation.max_gap | 1e9 | segmentation.max_gap: expected 0 to
letters | still.duration | 1e9 | still.duration: expected 0 to 60, got
letters | still.margin | 1e300 | still.margin: expected -1e+12 to 1e+12
letters | still.letters | ["z"] | still.letters: expected letters of the
letters | preprocessing.features | 100001 | features: expected 1 to 100000, got 100001
letters | preprocessing.features | GONE | 'preprocessing.features' is missing
letters | preprocessing.features | null | 'preprocessing.features' is missing
letters | preprocessing.features | 7 | preprocessing.features: expected 235, of landmarks, got 7
letters | preprocessing | 3 | preprocessing: expected an object, got 3
letters | preprocessing.rate | "30" | preprocessing.rate: expected a number
letters | preprocessing.rate | 0 | preprocessing.rate: expected 0.001 to 240
letters | input | "audio" | input: expected one of landmarks, rgb, hand, got 'audio'
letters | input | "hand" | preprocessing.features: expected 1387, of hand, got 235
letters | alphabet | ["a", 1] | alphabet[1]: expected a text, got 1
letters | alphabet | "ab" | alphabet: expected a list, got 'ab'
letters | alphabet | [] | alphabet: expected at least one symbol
letters | alphabet | ["a", "a"] | alphabet: expected no symbol twice
letters | alphabet | ["a", "b", "d", "i", "l", "v", "x"] | sequence.onnx: expected 'log_probs' of
letters | metrics | [{"accuracy": 1}] | expected a 'test_set' in each entry
letters | schema_version | GONE | expected an integer 'schema_version'
letters | files | {} | 'files' does not list encoder.onnx
crops | preprocessing.crop | GONE | the key 'preprocessing.crop' is missing
crops | preprocessing.crop | [] | preprocessing.crop: expected an object
crops | preprocessing.features | 235 | unknown key 'preprocessing.features'
crops | preprocessing.crop.padding | GONE | 'preprocessing.crop.padding' is missing
crops | preprocessing.crop.mean | [1] | unknown key 'preprocessing.crop.mean'
crops | preprocessing.crop.size | 16.0 | crop.size: expected an integer
crops | preprocessing.crop.size | 0 | crop.size: expected 8 to 1024, got 0
crops | preprocessing.crop.size | 1025 | crop.size: expected 8 to 1024
crops | preprocessing.crop.size | 32 | encoder.onnx: expected 'frames' of ['any', 3, 32, 32], uint8
crops | preprocessing.crop.padding | -0.5 | padding: expected -0.499 to 4
crops | preprocessing.crop.padding | 1e9 | padding: expected -0.499 to 4
crops | preprocessing.crop.smoothing | -1 | smoothing: expected 0 to 10
crops | preprocessing.rate | 1e9 | preprocessing.rate: expected 0.001 to 240
signs | classes | ["ONE"] | classes: expected at least 2 glosses
signs | classes | ["A", "B", "A"] | classes: expected no gloss twice, got ['A']
signs | classes | ["A", ""] | classes: expected no empty gloss
signs | classes | ["A", "B"] | expected 'log_probs' of ['any', 2], float
signs | alphabet | ["a"] | unknown key 'alphabet'
signs | preprocessing.frames | 0 | preprocessing.frames: expected 1 to
signs | preprocessing.frames | 1000000000 | preprocessing.frames: expected 1 to
signs | preprocessing.sampling | "all" | expected one of window, spread
signs | preprocessing.hands | 1 | preprocessing.hands: expected 2, got 1
signs | preprocessing.crop | {"size": 9, "padding": 0, "smoothing": 0} | unknown key 'preprocessing
signs | input | "rgb" | 'preprocessing.crop' is missing
signs | metrics | [{}] | metrics: expected a 'test_set'
signs | task | "songs" | task: expected one of fingerspelling, isolated, cont
signs | task | ["isolated"] | task: expected one of fingerspelling, isolated, cont
signs | task | GONE | the key 'task' is missing
signs | abstention.temperature | 0 | abstention.temperature: expected 0.01 to
signs | abstention.min_probability | 1.5 | min_probability: expected 0 to 1
signs | abstention.other | 1 | abstention.other: expected true or false
signs | abstention.other | true | expected 'log_probs' of ['any', 4], float
signs | abstention.threshold | 1 | unknown key 'abstention.threshold'
signing | tokens | ["JOHN", "JOHN"] | come twice
signing | tokens | ["JOHN", "BUY"] | expected 'log_probs' of ['any', 'any', 6], float
signing | tracks | [] | tracks: expected one or more
signing | tracks.0.width | 1000001 | tracks: expected 1 to 1e+06, got 1000001
signing | tracks.0.width | 0 | tracks: expected 1 to 1e+06, got 0
signing | tracks.0.width | 6 | expected 'track_fake_signing' of ['any', 'any', 6]
signing | tracks.0.name | "fake_other" | expected 'track_fake_other', 'present_fake_other', 'l
signing | tracks.0.meaning | "other" | fake_signing
signing | readers | [] | readers: expected decoder, ctc or both
signing | read_with | "decoder" | read_with: expected ctc, got 'decoder'
signing | windows | {"seconds": 5, "overlap": 4} | windows.overlap: expected 0 to 2.5
signing | windows.seconds | 0 | windows.seconds: expected 0.2 to 300, got 0
signing | input | "rgb" | the key 'preprocessing.picture' is missing
signing | preprocessing.picture | 16 | of a model that reads tracks
signing | preprocessing.rate | 1e9 | preprocessing.rate: expected 0.001 to 240
signing | generation.method | "sample" | generation.method: expected beam or
signing | generation.beam_size | 0 | beam_size: expected more than 0
signing | generation.beam_size | 1000000000 | beam_size: expected 1 to 1000
signing | generation.max_length | 1000000000 | max_length: expected 1 to 4096
signing | generation.top_p | 1e9 | top_p: expected -1000 to 1000
signing | ctc_beam | 1000000000 | ctc_beam: expected 1 to 1000
"""


@pytest.mark.parametrize("row", WRONG.strip().splitlines())
def test_a_wrong_config_is_refused_with_its_key(tmp_path: Path, row: str) -> None:
    kind, place, value, message = row.split(" | ")
    MAKE[kind](tmp_path / "fake")
    *path, last = (int(name) if name.isdigit() else name for name in place.split("."))
    config = json.loads((tmp_path / "fake" / "config.json").read_text())
    inner = functools.reduce(operator.getitem, path, config)
    if value == "GONE":
        del inner[last]
    else:
        inner[last] = json.loads(value)
    (tmp_path / "fake" / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match=re.escape(message)):
        Bundle.load(tmp_path / "fake")


@pytest.mark.parametrize("kind", MAKE)
def test_what_is_written_is_what_is_loaded(tmp_path: Path, kind: str) -> None:
    written = MAKE[kind](tmp_path / "fake")
    bundle = Bundle.load(tmp_path / "fake", threads=1)
    assert bundle.config == written.config
    assert set(bundle.config.files) == {*written.config.networks(), "MODEL_CARD.md"}
    config = (tmp_path / "fake" / "config.json").read_bytes()
    assert b"null" not in config
    assert bundle.sha256 == hashlib.sha256(config).hexdigest()
    assert bundle.config.schema_version == SCHEMA_VERSION
    with pytest.raises(UsageError, match="threads: expected 1 or more, got 0"):
        Bundle.load(tmp_path / "fake", threads=0)


@pytest.mark.parametrize("kind", MAKE)
def test_bundles_of_former_schemas_still_load(tmp_path: Path, kind: str) -> None:
    MAKE[kind](tmp_path / "fake")
    for version in range(1, SCHEMA_VERSION):
        edit(tmp_path / "fake", lambda data, version=version: data.update(schema_version=version))
        assert Bundle.load(tmp_path / "fake").config.schema_version == version
    edit(tmp_path / "fake", lambda data: data["preprocessing"].update(rate=25))
    rate = Bundle.load(tmp_path / "fake").config.preprocessing.rate
    assert (rate, type(rate)) == (25.0, float)


@pytest.mark.parametrize(
    "wrong", [fakes.crop_encoder_network(dtype=onnx.TensorProto.FLOAT), fakes.encoder_network()]
)
def test_encoders_that_want_something_else_than_crops(tmp_path: Path, wrong: bytes) -> None:
    folder = fakes.make_bundle(tmp_path / "fake", stream="rgb").directory
    put(folder, "encoder.onnx", wrong)
    with pytest.raises(BundleError, match=r"'frames' of .*, uint8, .* got .*tensor\(float\)"):
        Bundle.load(folder)


def test_networks_of_video_that_do_not_fit_their_config(tmp_path: Path) -> None:
    files = {"sequence.onnx": fake_signing.sequence_network(), **fake_signing.video_networks()}
    preprocessing = SigningPreprocessing(rate=10.0, picture=32)
    big = fake_signing.config(input="rgb", preprocessing=preprocessing)
    with pytest.raises(BundleError, match=r"encoder\.onnx: expected 'frames' of .* 32, 32\]"):
        write_bundle(tmp_path / "big", big, files)


def test_a_network_of_another_number_of_hands_is_refused(tmp_path: Path) -> None:
    folder = fake_signs.make_signs(tmp_path / "signs").directory
    put(folder, "classifier.onnx", fake_signs.classifier_network(fake_signs.SCORES, hands=1))
    with pytest.raises(BundleError, match=r"expected 'joints' of \['any', 'any', 2, 21, 2\]"):
        Bundle.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_config_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"config\.json"):
        Bundle.load(folder)


def test_swapped_networks_are_refused(folder: Path) -> None:
    encoder = (folder / "encoder.onnx").read_bytes()
    put(folder, "sequence.onnx", encoder)
    with pytest.raises(BundleError, match="expected 'features' to 'log_probs', got"):
        Bundle.load(folder)


def test_networks_that_do_not_belong_together_are_refused(folder: Path) -> None:
    network = fakes.network(
        [
            onnx.helper.make_node("Slice", ["features", "from", "to", "axis"], ["kept"]),
            onnx.helper.make_node("LogSoftmax", ["kept"], ["log_probs"], axis=-1),
        ],
        {"features": (onnx.TensorProto.FLOAT, [1, "time", 9]),
         "log_probs": (onnx.TensorProto.FLOAT, [1, "time", 7])},
        {"from": np.array([0]), "to": np.array([7]), "axis": np.array([2])},
    )  # fmt: skip
    put(folder, "sequence.onnx", network)
    message = r"'features' of width 9, but encoder\.onnx of 7; they do not belong together"
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_no_folder_and_no_config(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="found nothing"):
        read_config(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_writing_does_not_touch_a_folder_with_other_files(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "documents"
    target.mkdir()
    (target / "letter.txt").write_text("dear")
    files = {name: folder / name for name in ("encoder.onnx", "sequence.onnx", "MODEL_CARD.md")}
    with pytest.raises(BundleError, match=r"holds other files \(letter\.txt\)"):
        write_bundle(target, fakes.fake_config(), files)
    assert (target / "letter.txt").read_text() == "dear"


def test_a_card_is_written_where_none_is_given(folder: Path, tmp_path: Path) -> None:
    files = {name: folder / name for name in ("encoder.onnx", "sequence.onnx")}
    write_bundle(tmp_path / "own", fakes.fake_config(metrics=()), files)
    card = (tmp_path / "own" / "MODEL_CARD.md").read_text()
    assert card.startswith("# fake\n")
    assert "code MIT; weights MIT; data none" in card
    assert "- name: none; licence: none" in card
    assert card.endswith("## Metrics\n\nNot stated.\n")


def test_writing_over_a_bundle_replaces_it(folder: Path) -> None:
    before = check_bundle(folder)[1]
    bundle = fakes.make_bundle(folder, still=Still(letters=("a",)))
    assert bundle.sha256 != before
    assert bundle.config.still.letters == ("a",)


@pytest.mark.parametrize("failing", range(1, 9))
def test_a_bundle_stays_whole_where_the_new_one_cannot_be_put_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Four files out, four in: each time another one fails."""
    before = check_bundle(folder)
    files = {name: folder / name for name in ("encoder.onnx", "sequence.onnx")}
    replace, calls = Path.replace, 0

    def fails_once(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError("the network is gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    with pytest.raises(OSError, match="the network is gone"):
        write_bundle(folder, fakes.fake_config(metrics=()), files)
    assert check_bundle(folder) == before
    assert not list(folder.parent.glob(".bundle-*"))
