"""Bundles on a model hub: the client is huggingface_hub's own, the hub a small server here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import yaml

import chereme
import fake_hub
import fakes
from chereme.errors import BundleError, MissingDependencyError, OutputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import Licence
from chereme.recognition.hub import CARD, fetch, hub_card, push
from chereme.recognition.registry import resolve

MODEL = "hf://ann/letters"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_hub.FakeHub]:
    with fake_hub.serve() as served:
        fake_hub.use(served, tmp_path / "cache", monkeypatch)
        fetch.cache_clear()
        yield served
    fetch.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fakes.make_bundle(tmp_path / "fake")
    return tmp_path / "fake"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)


# -- from the hub ---------------------------------------------------------------------------------
def test_a_model_is_fetched_once_and_reads(hub: fake_hub.FakeHub, folder: Path) -> None:
    (folder / CARD).write_text("# of the hub")
    hub.add("ann/letters", folder)
    recognizer = chereme.load(MODEL)
    assert recognizer.recognize(fakes.spell("vail")).text == "vail"
    assert recognizer.info["model"]["sha256"] == Bundle.load(folder).sha256
    fetched = {path.rsplit("/", 1)[1] for method, path in hub.requests if "/resolve/" in path}
    assert fetched == {path.name for path in folder.iterdir()} - {CARD}
    asked = len(hub.requests)
    assert chereme.recognize(fakes.spell("bad"), model=MODEL).text == "bad"
    assert len(hub.requests) == asked


def test_without_the_hub_the_copy_is_read(hub: fake_hub.FakeHub, folder: Path) -> None:
    hub.add("ann/letters", folder)
    first = fetch(MODEL)
    hub.down = True
    fetch.cache_clear()
    assert fetch(MODEL) == first
    with pytest.raises(BundleError, match=r"no whole copy in .*cache, and the hub cannot be asked"):
        fetch("hf://ann/others")


def test_revisions(hub: fake_hub.FakeHub, folder: Path, tmp_path: Path) -> None:
    repository = hub.add("ann/letters", folder)
    old = repository.refs["v1"] = repository.refs["main"]
    new = fakes.make_bundle(tmp_path / "new", name="new")
    hub.add("ann/letters", tmp_path / "new")
    assert Bundle.load(fetch(MODEL)).sha256 == new.sha256
    assert Bundle.load(fetch(f"{MODEL}@v1")).sha256 == Bundle.load(folder).sha256
    assert fetch(f"{MODEL}@{old}") == fetch(f"{MODEL}@v1")
    for missing in ("v2", "0" * 40):
        with pytest.raises(
            BundleError, match=rf"letters@{missing}: no such revision; expected a b"
        ):
            fetch(f"{MODEL}@{missing}")


def test_private_and_gated_models_want_a_token(
    hub: fake_hub.FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("ann/letters", folder, private=True)
    hub.add("ann/gated", folder, gated=True)
    with pytest.raises(BundleError, match=r"no such model, or it is private; .* HF_TOKEN or by"):
        fetch(MODEL)
    with pytest.raises(BundleError, match=r"terms are accepted first.* HF_TOKEN or by"):
        fetch("hf://ann/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(BundleError, match="no such model, or it is private"):
        fetch(MODEL)
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    assert Bundle.load(fetch(MODEL)).sha256 == Bundle.load(fetch("hf://ann/gated")).sha256


def test_what_is_no_bundle_is_refused(hub: fake_hub.FakeHub, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="hf://ann/typo: no such model, or it is private"):
        fetch("hf://ann/typo")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_bytes(b"large")
    hub.add("ann/other", tmp_path / "other")
    with pytest.raises(BundleError, match=r"hf://ann/other holds no config\.json"):
        chereme.load("hf://ann/other")
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    hub.add("ann/bert", tmp_path / "other")
    with pytest.raises(BundleError, match="is this the folder of a chereme model"):
        chereme.load("hf://ann/bert")
    assert not any("safetensors" in path for _, path in hub.requests)


@pytest.mark.parametrize("name", ["encoder.onnx", "lm.onnx"])
def test_hashes_are_checked(hub: fake_hub.FakeHub, folder: Path, name: str) -> None:
    repository = hub.add("ann/letters", folder)
    files = dict(repository.commits[repository.refs["main"]])
    repository.commit(files | {name: b"of somebody else"})
    with pytest.raises(BundleError, match=rf"{name} (has changed|is not listed)"):
        chereme.load(MODEL)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("hf://", "Empty body"),
        ("hf://letters", "expected hf://owner/name or hf://owner/name@revision"),
        ("hf://datasets/ann/letters", "this names a dataset"),
        ("hf://ann/letters/encoder.onnx", "this names a file of a model"),
        ("hf://ann/letters@", "Empty revision"),
    ],
)
def test_other_addresses_are_refused(hub: fake_hub.FakeHub, address: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        resolve(address)
    assert hub.requests == []


def test_offline_mode_asks_nobody(
    hub: fake_hub.FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("ann/letters", folder)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match="no whole copy"):
        fetch(MODEL)
    assert hub.requests == []


def test_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    fetch.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"'huggingface_hub'.*\[hub\]"):
        chereme.load(MODEL)


# -- the layout of a cache ------------------------------------------------------------------------
@pytest.fixture
def snapshot(folder: Path, tmp_path: Path) -> Path:
    """A snapshot as the hub's client lays it out, with what it and a Mac put beside the bundle."""
    root = tmp_path / "hub" / "models--ann--letters"
    (root / "blobs").mkdir(parents=True)
    snapshot = root / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name in (".gitattributes", ".DS_Store", CARD):
        (folder / name).write_bytes(b"not of the bundle")
    for number, path in enumerate(folder.iterdir()):
        path.rename(root / "blobs" / f"{number:064}")
        (snapshot / path.name).symlink_to(Path("../../blobs") / f"{number:064}")
    return snapshot


def test_a_snapshot_is_a_bundle(snapshot: Path) -> None:
    assert chereme.recognize(fakes.spell("vail"), model=snapshot).text == "vail"
    (snapshot.parents[3] / "model").symlink_to(snapshot)
    assert Bundle.load(snapshot.parents[3] / "model").sha256 == Bundle.load(snapshot).sha256


@pytest.mark.parametrize("place", ["outside.onnx", "hub/models--eve--x/blobs/1", "hub/blobs/1"])
def test_links_that_leave_the_cache_are_refused(snapshot: Path, tmp_path: Path, place: str) -> None:
    target = tmp_path / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((snapshot / "encoder.onnx").read_bytes())
    (snapshot / "encoder.onnx").unlink()
    (snapshot / "encoder.onnx").symlink_to(target)
    with pytest.raises(BundleError, match="a link that leaves the bundle"):
        Bundle.load(snapshot)


def test_only_a_snapshot_has_blobs(snapshot: Path) -> None:
    elsewhere = snapshot.parent.with_name("copies") / snapshot.name
    elsewhere.parent.mkdir()
    snapshot.rename(elsewhere)
    with pytest.raises(BundleError, match="a link that leaves the bundle"):
        Bundle.load(elsewhere)


@pytest.mark.parametrize("name", [".git", ".cache"])  # of git clone; of hf download --local-dir
def test_what_a_download_leaves_beside(folder: Path, name: str) -> None:
    (folder / name / "objects").mkdir(parents=True)
    assert chereme.recognize(fakes.spell("vail"), model=folder).text == "vail"


def test_what_a_mac_puts_there_stays_when_a_bundle_is_replaced(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"icons")
    bundle = Bundle.load(folder)
    networks = {name: folder / name for name in ("encoder.onnx", "sequence.onnx")}
    write_bundle(folder, bundle.config, networks)
    assert (folder / ".DS_Store").read_bytes() == b"icons"


# -- to the hub -----------------------------------------------------------------------------------
def test_what_is_pushed_is_read_by_others(
    hub: fake_hub.FakeHub, folder: Path, token: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".DS_Store").write_bytes(b"icons")
    address = push(folder, MODEL)
    bundle = Bundle.load(folder)
    repository = hub.repositories["ann/letters"]
    assert address == f"{MODEL}@{repository.refs['main']}"
    assert repository.messages == [f"{bundle.config.name}, sha256 {bundle.sha256}"]
    there = repository.commits[repository.refs["main"]]
    assert there.keys() == {".gitattributes", CARD, "config.json", *bundle.config.files}
    assert not repository.private
    monkeypatch.delenv("HF_TOKEN")
    assert chereme.recognize(fakes.spell("vail"), model=address).text == "vail"


def test_a_new_repository_can_be_private(hub: fake_hub.FakeHub, folder: Path, token: None) -> None:
    push(folder, MODEL, private=True)
    assert hub.repositories["ann/letters"].private
    hub.add("ann/public", folder)
    with pytest.raises(OutputError, match="is there and public; make it private"):
        push(folder, "hf://ann/public", private=True, overwrite=True)
    assert hub.repositories["ann/public"].messages == []


def test_a_model_that_is_there_is_replaced_when_asked(
    hub: fake_hub.FakeHub, folder: Path, tmp_path: Path, token: None
) -> None:
    fakes.make_bundle(tmp_path / "old", name="old")
    (tmp_path / "old" / "lexicon.txt").write_text("of an older model")
    (tmp_path / "old" / "picture.png").write_bytes(b"of the owner")
    repository = hub.add("ann/letters", tmp_path / "old")
    before = dict(repository.refs)
    with pytest.raises(OutputError, match=r"holds MODEL_CARD\.md, config\.json.*give --overwrite"):
        push(folder, MODEL)
    assert repository.refs == before
    address = push(folder, MODEL, overwrite=True)
    there = repository.commits[repository.refs["main"]]
    assert "lexicon.txt" not in there
    assert there["picture.png"] == b"of the owner"
    assert Bundle.load(fetch(address)).sha256 == Bundle.load(folder).sha256


def test_what_came_meanwhile_is_not_replaced(
    hub: fake_hub.FakeHub, folder: Path, token: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = huggingface_hub.HfApi.model_info

    def slow(*arguments: object, **options: object) -> object:
        found = asked(*arguments, **options)
        hub.add("ann/letters", folder)
        return found

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", slow)
    with pytest.raises(OutputError, match="somebody else has changed it meanwhile"):
        push(folder, MODEL)


def test_a_transfer_that_breaks_off(
    hub: fake_hub.FakeHub, folder: Path, token: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("CAS service error")  # as hf_xet does

    monkeypatch.setattr(huggingface_hub.HfApi, "create_commit", broken)
    with pytest.raises(OutputError, match=r"CAS service error; check the network"):
        push(folder, MODEL)


def test_what_cannot_be_pushed(
    hub: fake_hub.FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=r"refused \(.*401.*\); give a token that may, in HF_TOK"):
        push(folder, MODEL)
    with pytest.raises(UsageError, match=r"go to the branch main; leave out @v1"):
        push(folder, f"{MODEL}@v1")
    hub.down = True
    with pytest.raises(OutputError, match=r"503.*try again later"):
        push(folder, MODEL)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OutputError, match="check the network"):
        push(folder, MODEL)
    (folder / "encoder.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="has changed"):
        push(folder, MODEL)
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        ("Research only (ask us)", {"license": "other", "license_name": "research-only-ask-us"}),
    ],
)
def test_the_card(folder: Path, weights: str, told: dict[str, str]) -> None:
    config = fakes.make_bundle(folder, licence=Licence("MIT", weights, "none")).config
    head, text = hub_card(config, "# Letters: a card\n---\n", MODEL).split("\n---\n", 1)
    found = yaml.safe_load(head)
    assert {key: value for key, value in found.items() if key.startswith("license")} == told
    assert found["library_name"] == "chereme"
    assert found["pipeline_tag"] == "video-classification"
    assert {"sign-language", "fingerspelling", "landmarks"} <= set(found["tags"])
    assert text.strip().startswith("# Letters: a card")
    assert re.search(rf"^    chereme recognize \S+ --model {MODEL}$", text, re.MULTILINE)


# -- on the command line --------------------------------------------------------------------------
def test_the_commands(hub: fake_hub.FakeHub, folder: Path, tmp_path: Path) -> None:
    """In processes of their own, with the variables that huggingface_hub documents."""
    write_landmarks(fakes.spell("vail"), tmp_path / "clip.npz")
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    environment["HF_HUB_DISABLE_XET"] = "1"

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "chereme", *map(str, arguments)]
        return subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, timeout=120
        )

    pushed = run("models", "push", folder, MODEL, HF_TOKEN=fake_hub.TOKEN)
    assert (pushed.returncode, pushed.stderr) == (0, "")
    read = run("recognize", tmp_path / "clip.npz", "--model", pushed.stdout.strip())
    assert (read.returncode, read.stdout, read.stderr) == (0, "vail\n", "")
    again = run("models", "push", folder, MODEL, HF_TOKEN=fake_hub.TOKEN)
    assert again.returncode == 1
    assert "give --overwrite" in again.stderr
    others = {path.rsplit("/", 1)[0] for _, path in hub.requests if "ann/letters" not in path}
    assert others == {"/api/repos", "/api", "/upload"}  # and nothing is told of the user
