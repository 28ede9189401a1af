"""Records what the package computes, so that a refactoring can be shown to change nothing.

    python tools/behaviour.py fixtures DIR                         # once, with the code before
    python tools/behaviour.py record before.json --fixtures DIR    # with the code before
    python tools/behaviour.py record after.json --fixtures DIR     # with the code after
    python tools/behaviour.py compare before.json after.json       # exit 1 on any difference

The package that is recorded is the one that Python imports (PYTHONPATH=CHECKOUT/src), with the
configs and examples of its checkout; this file may lie in another one. Only what a refactoring
leaves in its place is used: ``chereme.load``, the command ``chereme``, the YAML files with the
names of their options, and hooks into ONNX Runtime and Lightning. No class or module of the package
is named.

``record --part serving``: what each bundled model reads in recordings, landmark files and
photographs: text, tokens with times and probabilities, warnings, and what its networks put out
(log-probabilities whole, all else as sums). ``record --part training``: two batches of each YAML
file under ``configs``, on small data: losses, sums over each batch and over the weights after it,
and scores; then the bundles that some of these are exported to. ``_shrink`` makes networks, batches
and pictures smaller by options. ``--only REGEX`` is of the names of cases, of both verbs; a
training needs those whose checkpoints it begins with. A case that fails is recorded as its error;
the .log beside the record has more. Together it takes about 6 minutes of one processor core.

Where the code after has other names for options or files, change them here: what is compared are
the values of a case, and a training is named by its output folder.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import gc
import hashlib
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "CHEREME_DEBUG": "0"}

import numpy as np
import yaml

import chereme

CHECKOUT = Path(chereme.__file__).resolve().parents[2]
CONFIGS = CHECKOUT / "configs"
HELLO = CHECKOUT / "examples" / "hello.mp4"
WEIGHTS = Path(chereme.__file__).resolve().parent / "weights"
TOLERANCE = 1e-6
STEPS = 2
DIMS = {"hamer": 1024, "hamer-vit": 1280, "expose": 2048, "frankmocap": 2048, "pixie": 2048}
KEYPOINTS, JOINTS = {"openpose_137": 137 * 3}, {"joints": 21 * 3}
_UNSTABLE = re.compile(
    r"timings|chereme|ms_per|_ms$|seconds|device|machine|version|sha256|date|commit|memory|peak"
)
_TEMPORARY = re.escape(tempfile.gettempdir()) + r"/tmp\w+"
_scrubbed: list[tuple[str, str]] = [(str(CHECKOUT), "CHECKOUT")]  # paths, and what stands for them


# -- plain values ----------------------------------------------------------------------------------
def plain(value: Any) -> Any:
    """``value`` as JSON, without paths of this machine, times, and versions."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items() if not _UNSTABLE.search(str(k))}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    if isinstance(value, (int, bool, type(None))):
        return value
    text = str(value)
    for path, name in _scrubbed:
        text = text.replace(path, name)
    return re.sub(_TEMPORARY, "TEMPORARY", text)


def sums(arrays: Sequence[Any]) -> dict[str, Any]:
    """How many arrays and numbers, and their sum, sum without signs, and sum of squares."""
    flat = [np.nan_to_num(np.asarray(one, np.float64).ravel(), nan=-7.5) for one in arrays]
    every = np.concatenate(flat) if flat else np.zeros(0)
    finite = every[np.isfinite(every)]
    return {
        "arrays": len(flat),
        "numbers": int(every.size),
        "sum": float(finite.sum()),
        "absolute": float(np.abs(finite).sum()),
        "squares": float(np.square(finite).sum()),
    }


def described(result: Any) -> dict[str, Any]:
    """A transcript, or the result of another task."""
    about: dict[str, Any] = {"text": result.text}
    for name in ("tokens", "glosses", "hypotheses"):
        if hasattr(result, name):
            about[name] = plain(getattr(result, name))[:12]
    for name in ("start", "end", "answered", "warnings", "info"):
        if hasattr(result, name):
            about[name] = plain(getattr(result, name))
    return about


# -- hooks -----------------------------------------------------------------------------------------
class Networks:
    """What the networks of ONNX Runtime put out since ``clear``."""

    def __init__(self) -> None:
        import onnxruntime

        self._lock = threading.Lock()
        self._found: dict[str, list[Any]] = {}
        self._known = {
            hashlib.sha256(path.read_bytes()).hexdigest(): f"{path.parent.name}/{path.name}"
            for path in WEIGHTS.glob("*/*.onnx")
        }
        kind = onnxruntime.InferenceSession
        create, run = kind.__init__, kind.run

        def hooked_create(session: Any, network: Any, *more: Any, **options: Any) -> None:
            create(session, network, *more, **options)
            content = network if isinstance(network, bytes) else Path(network).read_bytes()
            session.behaviour_name = self._known.get(hashlib.sha256(content).hexdigest())

        def hooked_run(session: Any, names: Any, inputs: Any, *more: Any) -> Any:
            outputs = run(session, names, inputs, *more)
            names = names or [output.name for output in session.get_outputs()]
            with self._lock:
                for name, output in zip(names, outputs, strict=True):
                    key = f"{getattr(session, 'behaviour_name', None) or 'network'}: {name}"
                    self._found.setdefault(key, []).append(np.array(output))
            return outputs

        kind.__init__, kind.run = hooked_create, hooked_run

    def clear(self) -> None:
        self._found.clear()

    def found(self) -> dict[str, Any]:
        about: dict[str, Any] = {}
        for key, arrays in sorted(self._found.items()):
            about[key] = plain(sums(arrays))
            if "lm.onnx" not in key and "log_probs" in key:
                about[key]["values"] = plain(np.concatenate([one.ravel() for one in arrays]))
        return about


class Fits:
    """What happens in ``Trainer.fit``: of each batch its sums and its loss, then the weights."""

    def __init__(self) -> None:
        import lightning
        import torch

        torch.set_num_threads(1)
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.found: list[dict[str, Any]] = []
        found, fit = self.found, lightning.Trainer.fit

        class Watch(lightning.Callback):
            def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, n: int) -> None:
                found.append({"batch": plain(sums([*_tensors(batch)]))})

            def on_train_batch_end(
                self, trainer: Any, module: Any, outputs: Any, batch: Any, n: int
            ) -> None:
                loss = outputs["loss"] if isinstance(outputs, dict) else outputs
                found[-1]["loss"] = plain(float(loss))
                logged = {k: float(v) for k, v in trainer.callback_metrics.items()}
                found[-1]["logged"] = plain(logged)

            def on_fit_end(self, trainer: Any, module: Any) -> None:
                weights = [p.detach().float().numpy() for p in module.state_dict().values()]
                logged = {k: float(v) for k, v in trainer.callback_metrics.items()}
                found.append({"weights": plain(sums(weights)), "logged": plain(logged)})

        def hooked(trainer: Any, *more: Any, **options: Any) -> Any:
            trainer.callbacks.append(Watch())
            return fit(trainer, *more, **options)

        lightning.Trainer.fit = hooked


def _tensors(value: Any) -> Iterator[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value.detach().float().cpu().numpy()
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _tensors(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)


# -- running ---------------------------------------------------------------------------------------
class Record:
    """Cases by name. A case that fails is recorded as its error."""

    def __init__(self, only: str) -> None:
        self.cases: dict[str, Any] = {}
        self.only = only

    def case(self, name: str, compute: Callable[[], Any], log: Path | None = None) -> None:
        if not re.search(self.only, name):
            return
        began = time.perf_counter()
        try:
            found = compute()
        except (Exception, SystemExit) as error:
            if log is not None:
                with log.open("a") as file:
                    traceback.print_exc(file=file)
            found = {"error": type(error).__name__, "message": plain(str(error))[:300]}
        self.cases[name] = found
        gc.collect()  # trainers refer to themselves
        failed = f"  {found['error']}: {found['message'][:160]}" if "error" in found else ""
        print(f"{time.perf_counter() - began:6.1f} s  {name}{failed}", flush=True)


def command(line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``chereme`` with these arguments, none of which has a space, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "chereme", *line.split()],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "COLUMNS": "200"},
    )


def must(line: str, cwd: Path) -> None:
    """A command that may not fail."""
    done = command(line, cwd)
    if done.returncode:
        raise SystemExit(f"chereme {line}: {done.stderr}")


def here(arguments: Sequence[str], log: Path) -> None:
    """The command ``chereme`` in this process; what it prints goes to ``log``."""
    from chereme.cli import main

    before = sys.argv
    sys.argv = ["chereme", *arguments]
    try:
        with (
            log.open("w") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            try:
                main()
            except SystemExit as end:
                if end.code not in (None, 0):
                    file.flush()
                    lines = log.read_text().strip().splitlines() or [""]
                    raise RuntimeError(f"exit {end.code}: {lines[-1]}") from None
    finally:
        sys.argv = before


# -- small data ------------------------------------------------------------------------------------
def drawn_hand(number: int, rng: np.random.Generator, habit: float = 1.0) -> np.ndarray:
    """``(21, 3)`` joints of an upright right hand in palm sizes, x right, y down, z away; the bits
    of ``number`` curl its fingers. ``habit``: degrees by which its angles differ."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        fan = np.radians([50.0, 16.0, 0.0, -12.0, -24.0][finger])
        bend = np.radians(75.0 if number >> finger & 1 else 4.0) + np.radians(rng.normal(0, habit))
        lengths = [0.4, 0.4, 0.3, 0.25] if finger == 0 else [1.0, 0.42, 0.26, 0.2]
        at, tilt = np.zeros(3), 0.05
        for bone, length in enumerate(lengths):
            tilt += bend if bone else 0.0
            way = [np.sin(fan) * np.cos(tilt), -np.cos(fan) * np.cos(tilt), -np.sin(tilt)]
            at = at + length * np.array(way)
            joints[1 + 4 * finger + bone] = at
    return joints


def write_exemplars(path: Path) -> None:
    """Handshapes of 26 letters and a silent hand, of two signers, and the motions of J and Z."""
    rng = np.random.default_rng(7)
    rows = [
        (90 * drawn_hand(number, rng), label, signer)
        for signer in ("one", "two")
        for number, label in enumerate([*"abcdefghijklmnopqrstuvwxyz", ""], 1)
        for _ in range(2)
    ]
    s = np.linspace(0, 1, 24)[:, None, None]
    hook = drawn_hand(10, rng) + s * np.array([0.0, 0.6, 0.2])
    stroke = drawn_hand(26, rng) + np.abs(np.sin(4 * s)) * np.array([0.8, 0.3, 0.0])
    np.savez(
        path,
        landmarks=np.array([row[0] for row in rows], np.float32),
        label=np.array([row[1] for row in rows]),
        signer=np.array([row[2] for row in rows]),
        picture=np.arange(len(rows)),
        motion_landmarks=np.array([hook, stroke], np.float32),
        motion_label=np.array(["j", "z"]),
        motion_signer=np.array(["one", "one"]),
    )


def write_two_hands(path: Path, gloss: int, seed: int) -> None:
    """A landmark file of a sign: both hands move, one is out of sight now and then."""
    rng = np.random.default_rng([seed, gloss])
    frames, t = 40, np.arange(40)[:, None]
    points = np.zeros((frames, 2, 21, 3))
    for hand, side in enumerate((-1, 1)):
        shape = drawn_hand(gloss * 5 + hand, rng, 3.0) * [side, 1, 1]
        path_of = 20 * np.sin(t * 0.2 * (1 + gloss) + hand) * [side, 0.5, 0]
        points[:, hand] = 60 * shape + [320 + 120 * side, 260, 0] + path_of[:, None]
    points += rng.normal(0, 0.6, points.shape)
    confidence = np.ones((frames, 2, 21))
    confidence[rng.random((frames, 2)) < 0.08] = 0
    np.savez(
        path,
        landmarks=np.where(confidence[..., None] > 0, points, np.nan).astype(np.float32),
        confidence=confidence.astype(np.float32),
        timestamps=np.arange(frames) / 25.0,
        width=640,
        height=480,
        handedness=np.array(["left", "right"]),
    )


def write_table(path: Path, header: str, rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def count_frames(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def make_fixtures(folder: Path) -> None:
    """All data that a record reads beside ``../shared``, by the package that is imported."""
    folder.mkdir(parents=True)
    splits = ("train", "dev", "test")
    # Videos of made-up spellers, and shards of their crops with the vectors of teachers.
    must("synthesize -o corpus --corpus 9 --signers 3 --size 320x240 --seed 1", folder)
    with (folder / "corpus" / "manifest.csv").open() as file:
        clips = list(csv.DictReader(file))
    rng = np.random.default_rng(3)
    words, signs = [], []
    for number, clip in enumerate(clips):
        name, path = f"clip{number}", f"corpus/{clip['path']}"
        split = (*splits, "train", "train")[number % 5]
        words.append((path, clip["label"], name, split))
        signs.append((path, "abc"[number // 5 % 2], name, split))
        frames = count_frames(folder / path)
        for teacher, dim in {**DIMS, **KEYPOINTS, **JOINTS}.items():
            (folder / "vectors" / teacher).mkdir(parents=True, exist_ok=True)
            for ending in ("", ".flip"):
                vectors = rng.normal(0, 1, (frames, dim)).astype(np.float32)
                if teacher in KEYPOINTS:
                    vectors = np.abs(np.sin(vectors))
                if teacher in JOINTS:
                    vectors = 32 + 10 * vectors
                np.save(folder / "vectors" / teacher / f"{name}{ending}.npy", vectors)
    for kind, rows, teachers in (("words", words, DIMS), ("signs", signs, {**KEYPOINTS, **JOINTS})):
        write_table(folder / f"{kind}.csv", "path,label,id,split", rows)
        given = " ".join(f"--vectors vectors/{name}" for name in teachers)
        own = "--teacher landmarks" if kind == "words" else ""
        must(
            f"prepare folder --root {kind}.csv -o {kind}_shards --size 64 {own} "
            f"--teacher precomputed {given}",
            folder,
        )
    # Handshapes; poses of single letters, and of signs of two hands.
    write_exemplars(folder / "exemplars.npz")
    must("prepare letters --exemplars exemplars.npz --clips 120 --seed 1 -o letter_poses", folder)
    (folder / "two_hands").mkdir()
    rows = []
    for number in range(24):
        path = folder / "two_hands" / f"{number:02d}.npz"
        write_two_hands(path, number % 3, number)
        split = (*splits, "train", "train", "train")[number // 3 % 6]
        rows.append((f"two_hands/{path.name}", f"sign{number % 3}", path.stem, split))
    write_table(folder / "two_hands.csv", "path,label,id,split", rows)
    must("prepare signs --root two_hands.csv -o sign_poses", folder)
    # Sentences: rendered with their videos, and of the paper's five tracks.
    must("prepare signing --clips 24 --signers 6 --seed 1 -o signing", folder)
    (folder / "tracks").mkdir()
    widths = {"smplerx": 165, "dwpose": 384, "mediapipe": 258, "primedepth": 576, "sapiens": 576}
    write_sentences(folder / "tracks", widths, rng)
    (folder / "boston_by_heart").mkdir()
    write_sentences(folder / "boston_by_heart", {"boston104": 6}, rng)
    # Landmark files.
    (folder / "landmarks").mkdir()
    for video in [HELLO, *sorted((folder / "corpus").rglob("*.mp4"))[:2]]:
        for suffix in (".npz", ".pose"):
            must(f"landmarks {video} -o landmarks/{video.stem}{suffix}", folder)


def write_sentences(folder: Path, widths: Mapping[str, int], rng: np.random.Generator) -> None:
    """A manifest of tracks files; each gloss has numbers of its own."""
    glosses = ["JOHN", "BUY", "HOUSE", "IX-1p"]
    means = {n: {g: rng.normal(0, 1, w) for g in glosses} for n, w in widths.items()}
    rows = []
    for number in range(8):
        words = [glosses[int(k)] for k in rng.integers(0, 4, 3)]
        arrays: dict[str, Any] = {"tracks_version": 1, "rate": 30.0}
        for name, width in widths.items():
            track = np.concatenate([np.tile(means[name][word], (12, 1)) for word in words])
            track = track + 0.1 * rng.normal(0, 1, (36, width))
            if name in ("primedepth", "sapiens"):
                track = np.abs(np.round(track))
            arrays[f"track/{name}"] = track.astype(np.float32)
            arrays[f"present/{name}"] = np.ones(36, bool)
        np.savez(folder / f"{number}.npz", **arrays)
        split = ("train", "train", "dev", "test")[number % 4]
        rows.append((f"{number}.npz", " ".join(words), f"s{number}", split))
    write_table(folder / "manifest.csv", "path,label,id,split", rows)


# -- serving ---------------------------------------------------------------------------------------
def record_serving(record: Record, fixtures: Path, data: Path, log: Path) -> None:
    networks = Networks()
    cases, dev = data.parent / "cases", data / "fingerspelling_dev"
    loaded: dict[str, Any] = {}

    def read(name: str, model: str, source: Path, when: Any = None, **options: Any) -> None:
        def compute() -> dict[str, Any]:
            key = f"{model} {options}"
            if key not in loaded:
                loaded[key] = chereme.load(model, **options)
            networks.clear()
            result = loaded[key].recognize(source, **(when or {}))
            return described(result) | {"networks": networks.found()}

        record.case(f"{name}: {_relative(source, data, fixtures)}", compute, log)

    videos = [HELLO, *sorted((dev / "video").glob("*.mp4"))]
    poses = [path for kind in ("words", "letters") for path in sorted((dev / kind).iterdir())]
    written = sorted((fixtures / "landmarks").iterdir())
    odd = [
        *sorted((cases / "poses").iterdir()),
        *sorted(p for p in (cases / "video").glob("*.m*") if "1080" not in p.name),
        *sorted((cases / "pictures").iterdir()),
        *sorted((data / "formats" / "pose").iterdir()),
        *sorted((data / "formats" / "isl_fingerspelling").glob("*.mp4"))[:2],
    ]
    stills = [
        next(iter(sorted(folder.iterdir())))
        for folder in sorted((data / "letters_people_dev" / "vyshu150").iterdir())
        if folder.is_dir()
    ]
    photos = sorted((data / "formats" / "photos").iterdir())
    for source in [*videos, *poses, *written, *odd, *stills[:8], *photos[:4]]:
        read("landmarks", "fingerspelling", source, stream="landmarks")
    for stream in ("rgb", "fused"):
        for source in [*videos[:4], *stills[:3], poses[0]]:
            read(stream, "fingerspelling", source, stream=stream)
    read("auto", "fingerspelling", HELLO)
    for source in [*stills, *photos, *poses[8:], *written, HELLO]:
        read("letters", "fingerspelled_letters", source)
    for folder in sorted(path for path in WEIGHTS.iterdir() if path.is_dir()):
        read(f"folder {folder.name}", str(folder), HELLO)
        read(f"folder {folder.name}", str(folder), poses[0])
    changes: list[dict[str, Any]] = [{"hand": "right", "alpha": 0.1, "beta": 0.5}]
    changes += [{"greedy": True}, {"lm": False}, {"beam_width": 20}]
    changes += [{"hand": "left"}, {"mirrored": True}, {"rotate": 90}]
    for options in changes:
        text = " ".join(f"{key}={value}" for key, value in options.items())
        read(f"landmarks {text}", "fingerspelling", HELLO, stream="landmarks", **options)
    read("a part", "fingerspelling", HELLO, {"start": 0.2, "end": 0.9}, stream="landmarks")
    for bundle in sorted((fixtures / "bundles").glob("*")):
        for source in sources_of(bundle.name, fixtures):
            read(f"bundle {bundle.name}", str(bundle), source)
    _record_commands(record, fixtures, data, stills, log)


def sources_of(bundle: str, fixtures: Path) -> list[Path]:
    """What a bundle that was made of small data is to read."""
    if "signx" in bundle:
        ending = ".mp4" if "stage_2" in bundle else ".npz"
        return sorted((fixtures / "signing" / "dev").glob(f"*{ending}"))[:2]
    if "signbert" in bundle or "own_signs" in bundle:
        return sorted((fixtures / "two_hands").iterdir())[:2]
    if "rgb" in bundle:
        return sorted((fixtures / "corpus").rglob("*.mp4"))[:1]
    return sorted((fixtures / "landmarks").iterdir())[:2]


def _relative(path: Path, data: Path, fixtures: Path) -> str:
    for folder, name in ((data.parent, "shared"), (fixtures, "fixtures"), (CHECKOUT, "")):
        if path.is_relative_to(folder):
            return str(Path(name) / path.relative_to(folder))
    return path.name


def _record_commands(
    record: Record, fixtures: Path, data: Path, stills: Sequence[Path], log: Path
) -> None:

    def written(line: str) -> dict[str, Any]:
        """What a command prints, and the files that it writes in OUT."""
        with tempfile.TemporaryDirectory() as out:
            done = command(line.replace("OUT", out))
            files: dict[str, Any] = {}
            for path in sorted(Path(out).rglob("*.*")):
                if path.suffix == ".npz":
                    with np.load(path) as arrays:
                        files[path.name] = {
                            name: sums([a]) if a.dtype.kind in "fib" else a.tolist()
                            for name, a in arrays.items()
                        }
                elif path.suffix == ".pose":
                    files[path.name] = sums([np.frombuffer(path.read_bytes(), np.uint8)])
                elif path.suffix == ".json":
                    files[path.name] = json.loads(path.read_text())
                else:  # an ELAN file says when it was written
                    text = re.sub(r'(DATE|MEDIA_URL)="[^"]*"', "", path.read_text())
                    files[path.name] = text.splitlines()
            printed: Any = done.stdout.strip()
            with contextlib.suppress(ValueError):
                printed = json.loads(printed)
            return {"exit": done.returncode, "printed": plain(printed), "files": plain(files)}

    words = data / "fingerspelling_dev"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "letters.csv"
        write_table(table, "path,label", [(path, path.parent.name) for path in stills])
        every = " ".join(str(path) for path in sorted((fixtures / "landmarks").iterdir()))
        for name, line in {
            "recognize": f"recognize {HELLO} --stream landmarks -f all -o OUT",
            "recognize several": f"recognize {every}",
            "recognize a letter": f"recognize --task isolated {stills[0]} -f json",
            "recognize what is missing": "recognize missing.mp4",
            "landmarks npz": f"landmarks {HELLO} -o OUT/hello.npz",
            "landmarks pose": f"landmarks {HELLO} -o OUT/hello.pose",
            "landmarks of a pose": f"landmarks {words}/words/january.pose -o OUT/january.npz",
            "evaluate": f"evaluate --data {words}/manifest.csv --stream landmarks -f json "
            "--predictions OUT/read.txt",
            "evaluate letters": f"evaluate --model fingerspelled_letters --data {table} -f json "
            "--predictions OUT/read.txt",
        }.items():
            record.case(f"command {name}", lambda line=line: written(line), log)


# -- training --------------------------------------------------------------------------------------
LINKS = {  # what the YAML files name, to what stands for it
    "data/chicagofswild": "words_shards",
    "data/chicagofswildplus": "words_shards",
    "data/greek/fold_1": "words_shards",
    "runs/rendered": "words_shards",
    "runs/photographs": "words_shards",
    "runs/hand_aware/signs": "signs_shards",
    "runs/signs": "signs_shards",
    "runs/exemplars.npz": "exemplars.npz",
    "runs/letters/poses": "letter_poses",
    "runs/poses/train": "sign_poses",
    "runs/poses/nmfs_csl": "sign_poses",
    "data/signing": "signing",
    "runs/asllrp": "tracks",
}
EXPORTED = (
    "runs/rgb",
    "runs/landmarks",
    "runs/letters/run",
    "runs/signx/rendered/stage_1",
    "runs/signx/rendered/stage_2",
)
FURTHER = (  # rows that no comment of a file names
    "fingerspelling/recipes/ours fingerspelling/data/chicagofswild "
    "fingerspelling/table_2/distil_projected_cosine",
    "fingerspelling/recipes/small fingerspelling/data/chicagofswild "
    "fingerspelling/table_2/early_fusion",
    "fingerspelling/recipes/tiny fingerspelling/data/chicagofswild fingerspelling/table_2/rgb",
    "signbert/pretrain signbert/recipes/small signbert/table_5/fc2",
    "signbert/scratch signbert/recipes/small",
    "signx/boston104 signx/rows/whole signx/overfit",
    "signx/rendered signx/times",
)
SMALLER = {  # further options, by the folder of the results
    "runs/signx/boston104/overfit": ["data.init_args.root=data/boston_by_heart"],
    "runs/signx/paper": [
        "model.init_args.config.tracks.hidden=64",
        "model.init_args.config.tracks.latent=128",
        "model.init_args.config.diffusion.dim=64",
        "model.init_args.config.decoder.dim=64",
        "model.init_args.config.decoder.max_length=16",
        "model.init_args.generation.beam_size=2",
    ],
}


@dataclasses.dataclass
class Row:
    """A training: its YAML files, merged, and the folder of its results."""

    files: tuple[Path, ...]
    merged: dict[str, Any]
    output: str
    name: str

    @property
    def model(self) -> dict[str, Any]:
        return self.merged["model"].get("init_args", {})

    @property
    def data(self) -> dict[str, Any]:
        return self.merged["data"].get("init_args", {})


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    if "class_path" in more and into.get("class_path") != more["class_path"]:
        into.clear()  # options of another class
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(into.get(key), dict)
        into[key] = _merge(into[key], value) if both else json.loads(json.dumps(value))
    return into


def _row(files: Sequence[Path]) -> Row:
    merged: dict[str, Any] = {}
    parts = [yaml.safe_load(path.read_text()) for path in files]
    for part in parts:
        _merge(merged, part)
    output = merged.get("output", f"runs/{files[-1].stem}")
    names = [p.stem for p, part in zip(files[1:], parts[1:], strict=True) if "output" not in part]
    chosen = [name for name in names if name in ("ours", "small", "tiny", "times", "overfit")]
    first = [files[0].stem] if files[0].parent.name == "recipes" else []
    marks = [name for name in (*first, *chosen) if name != "paper"]
    return Row(tuple(files), merged, output, "+".join([output, *marks]))


def rows() -> list[Row]:
    """Every training of the YAML files: alone where a file says model and data, else with the files
    of the command in its comment, or those that it names after the word "After"."""
    found: dict[str, Row] = {}
    listed = [[CONFIGS / f"{name}.yaml" for name in names.split()] for names in FURTHER]
    listed = [files for files in listed if all(path.is_file() for path in files)]
    for path in sorted(CONFIGS.rglob("*.yaml")):
        text = path.read_text()
        comment = "\n".join(re.findall(r"^#(.*)", text, re.MULTILINE)).replace("\\\n", " ")
        for line in re.findall(r"chereme train( .*)", comment):
            files = [CHECKOUT / name for name in re.findall(r"--config (configs/\S+)", line)]
            if files and files[-1] == path and all(one.is_file() for one in files):
                listed.append(files)
                break
        else:
            after = re.search(r"After\s+([^.]+?\.yaml[^.]*(?:\.yaml)?)\.(?:\s|$)", comment)
            system = CONFIGS / path.relative_to(CONFIGS).parts[0]
            first = (
                [system / name for name in re.findall(r"[\w/]+\.yaml", after[1])] if after else []
            )
            listed.append([*first, path])
    for row in map(_row, listed):
        if "class_path" in row.merged.get("model", {}) and "output" in row.merged:
            found.setdefault(row.name, row)
    return _ordered(list(found.values()))


def _ordered(rows: list[Row]) -> list[Row]:
    """Each after those whose checkpoints it begins with."""
    by_output = {row.output: row for row in rows if row.name == row.output}
    done: list[Row] = []

    def add(row: Row) -> None:
        if row in done:
            return
        for value in re.findall(r"runs/[\w/.-]+", json.dumps(row.model)):
            needed = by_output.get(re.sub(r"/(best|last)\.ckpt$", "", value))
            if needed is not None and needed is not row:
                add(needed)
        done.append(row)

    for row in rows:
        add(row)
    return done


def _shrink(row: Row) -> list[str]:
    """Options that make a training small: no workers, few clips a batch, small pictures."""
    model, data, options = row.model, row.data, []
    if model.get("initial") == "imagenet":
        options.append("--model.init_args.initial=scratch")
    if model.get("config", {}).get("rgb", {}).get("image_size", 0) > 32:
        options.append("--model.init_args.config.rgb.image_size=32")
    if model.get("size", 0) > 32:
        options.append("--model.init_args.size=32")
    if "workers" in data:
        options.append("--data.init_args.workers=0")
    if data.get("batch_size", 0) > 8 or "image_size" in str(model) or "resnet" in str(model):
        options.append(f"--data.init_args.batch_size={min(data.get('batch_size', 2), 2)}")
    if data.get("frames", 0) > 8 and "shards" in data:
        options.append("--data.init_args.frames=8")
    if data.get("alphabet") == "greek":
        options += ["--data.init_args.alphabet=asl"]
        options += ["--model.init_args.config.sequence.num_symbols=27"]
    if "poses" in data and "hold_out" not in data:
        options.append("--data.init_args.hold_out=0.1")
    if "exemplars" in data:
        before = "FingerspellingData" in row.merged["data"]["class_path"]
        options.append(f"--data.init_args.{'watched' if before else 'dev'}_clips=8")
        options.append("--data.init_args.batch_size=4")
    return options + [f"--{option}" for option in SMALLER.get(row.output, [])]


def train(row: Row, log: Path) -> None:
    """Two batches of a training, and its scores, in the current folder."""
    here(
        [
            "train",
            *(f"--config={path}" for path in row.files),
            f"--output={row.name}",
            "--trainer.accelerator=cpu",
            "--trainer.devices=1",
            "--trainer.enable_progress_bar=false",
            "--trainer.max_epochs=1",
            f"--trainer.limit_train_batches={STEPS}",
            "--trainer.limit_val_batches=1",
            "--trainer.check_val_every_n_epoch=1",
            "--trainer.num_sanity_val_steps=0",
            *_shrink(row),
            "--overwrite",
        ],
        log,
    )


def prepare_work(work: Path, fixtures: Path, data: Path) -> None:
    """A folder with all that the YAML files name, in which they are trained."""
    for name, stands in {**LINKS, "data/boston_by_heart": "boston_by_heart"}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).symlink_to(fixtures / stands)
    (work.parent / "shared").symlink_to(data.parent)


@contextlib.contextmanager
def working(fixtures: Path, data: Path) -> Iterator[Path]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="behaviour") as folder:
        work = Path(folder).resolve() / "work"
        work.mkdir()
        _scrubbed.insert(0, (str(work), "WORK"))
        prepare_work(work, fixtures, data)
        os.chdir(work)
        try:
            yield work
        finally:
            os.chdir(before)


def record_training(record: Record, fixtures: Path, data: Path, log: Path) -> None:
    networks, fits = Networks(), Fits()
    with working(fixtures, data) as work:
        own_log = log.with_suffix(".train.log")

        def trained(row: Row) -> dict[str, Any]:
            fits.found.clear()
            about: dict[str, Any] = {}
            try:
                train(row, own_log)
            finally:
                with log.open("a") as file:
                    file.write(f"\n=== {row.name}\n{own_log.read_text()[-3000:]}")
                about["fit"] = list(fits.found)
                for path in sorted((work / row.name).glob("*.json")):
                    about[path.name] = plain(json.loads(path.read_text()))
            return about

        for row in rows():
            record.case(f"train {row.name}", lambda row=row: trained(row), log)
            for ending in ("logs", "*.safetensors"):  # the disk is small
                for path in (work / row.name).glob(ending):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        record.case("train own signs", lambda: _own_signs(fixtures, fits, own_log), log)
        for output in EXPORTED:
            name = f"export {output}"
            record.case(name, lambda o=output: _exported(o, networks, fixtures, own_log), log)


def _own_signs(fixtures: Path, fits: Fits, log: Path) -> dict[str, Any]:
    fits.found.clear()
    here(["train", str(fixtures / "two_hands.csv"), "-o", "own_signs", "--epochs", "1"], log)
    return {"fit": list(fits.found)}


def export(output: str, bundle: Path, log: Path) -> None:
    checkpoint = next(
        path for name in ("best", "last") if (path := Path(output) / f"{name}.ckpt").is_file()
    )
    here(["export", str(checkpoint), "-o", str(bundle)], log)


def _exported(output: str, networks: Networks, fixtures: Path, log: Path) -> dict[str, Any]:
    bundle = Path("bundles") / output.replace("/", "_")
    export(output, bundle, log)
    recognizer = chereme.load(bundle)
    found: dict[str, Any] = {"config": plain(json.loads((bundle / "config.json").read_text()))}
    for source in sources_of(bundle.name, fixtures):
        networks.clear()
        result = recognizer.recognize(source)
        found[source.name] = described(result) | {"networks": networks.found()}
    return found


def make_bundles(fixtures: Path, data: Path, log: Path) -> None:
    """Bundles of tasks of which none comes with the package, hardly trained."""
    by_output = {row.output: row for row in rows() if row.name == row.output}
    with working(fixtures, data):
        for output in EXPORTED[2:]:
            train(by_output[output], log)
            export(output, fixtures / "bundles" / output.replace("/", "_"), log)


# -- comparing -------------------------------------------------------------------------------------
def differences(one: Any, other: Any, tolerance: float, at: str = "") -> Iterator[tuple[str, str]]:
    """(place, difference) of two values of JSON."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                yield f"{at}/{key}", "only in the " + ("first" if key in one else "second")
            else:
                yield from differences(one[key], other[key], tolerance, f"{at}/{key}")
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield at, f"{len(one)} against {len(other)} entries"
        elif len(one) > 50 and all(isinstance(v, (int, float)) for v in [*one, *other]):
            gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
            if max(gaps) > tolerance:
                changed = sum(gap > tolerance for gap in gaps)
                yield at, f"{changed} of {len(gaps)} numbers differ, by up to {max(gaps):.3g}"
        else:
            for number, pair in enumerate(zip(one, other, strict=True)):
                yield from differences(*pair, tolerance, f"{at}/{number}")
    elif isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
        if not numbers or not math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance):
            yield at, f"{one!r} against {other!r}"
    elif one != other or type(one) is not type(other):
        yield at, f"{one!r} against {other!r}"


def compare(
    paths: Sequence[Path], tolerance: float, only: str, ignore: str | None, most: int
) -> int:
    first, second = (
        {name: case for name, case in document["cases"].items() if re.search(only, name)}
        for document in (json.loads(path.read_text()) for path in paths)
    )
    count = changed = 0
    for name in dict.fromkeys([*first, *second]):
        if name not in first or name not in second:
            found = [("", f"only in {paths[name not in first]}")]
        else:
            found = list(differences(first[name], second[name], tolerance))
        if ignore:
            found = [(at, what) for at, what in found if not re.search(ignore, f"{name}{at}")]
        count += len(found)
        changed += bool(found)
        for at, what in found[:most]:
            print(f"{name}{at}: {what}")
        if len(found) > most:
            print(f"{name}: {len(found) - most} more")
    failed = sum("error" in case for case in second.values())
    print(
        f"{len(first)} and {len(second)} cases ({failed} of the second are "
        f"errors), {changed} differ in {count} places; tolerance {tolerance:g}"
    )
    return 1 if count else 0


# -- command line ----------------------------------------------------------------------------------
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("fixtures", help="make the data that records read")
    making.add_argument("folder", type=Path)
    recording = verbs.add_parser("record", help="record what the package computes")
    recording.add_argument("output", type=Path)
    recording.add_argument("--fixtures", type=Path, required=True)
    recording.add_argument("--part", choices=("serving", "training"))
    for verb in (making, recording):
        verb.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    comparing = verbs.add_parser("compare", help="list differences of two records")
    comparing.add_argument("records", type=Path, nargs=2)
    comparing.add_argument("--tolerance", type=float, default=TOLERANCE)
    for verb in (recording, comparing):
        verb.add_argument("--only", default="", metavar="REGEX", help="cases with such a name")
    comparing.add_argument("--ignore", metavar="REGEX", help="places not to look at")
    comparing.add_argument("--most", type=int, default=8, help="differences shown of a case")
    given = parser.parse_args()
    if given.verb == "compare":
        return compare(given.records, given.tolerance, given.only, given.ignore, given.most)
    data = given.data.resolve()
    if given.verb == "fixtures":
        folder = given.folder.resolve()
        make_fixtures(folder)
        make_bundles(folder, data, folder / "bundles.log")
        return 0
    fixtures, output = given.fixtures.resolve(), given.output.resolve()
    _scrubbed.extend([(str(fixtures), "FIXTURES"), (str(data.parent), "SHARED")])
    log = output.with_suffix(".log")
    log.write_text("")
    began, record = time.perf_counter(), Record(given.only)
    if given.part in (None, "serving"):
        record_serving(record, fixtures, data, log)
    if given.part in (None, "training"):
        record_training(record, fixtures, data, log)
    commit = subprocess.run(
        ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    seconds = round(time.perf_counter() - began)
    document = {"about": {"commit": commit, "seconds": seconds}, "cases": record.cases}
    output.write_text(json.dumps(document, indent=1) + "\n")
    failed = sum("error" in case for case in record.cases.values())
    print(f"{output}: {len(record.cases)} cases, {failed} are errors, {seconds} s; log {log}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
