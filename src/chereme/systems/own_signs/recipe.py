"""From a folder of one's own signs, ``<gloss>/<clip>``, to a recogniser of them.

Both hands are looked for in each clip, some clips are kept aside, SignBERT's recogniser is trained
on the others and tested on these, and becomes a bundle. What is not the bundle is in the folder
``<model>.training``: joints, checkpoint, ``report.md`` and ``confusion.png``. Each step goes on
where a run that was stopped has left it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer

from chereme.datasets.corpus import Corpus
from chereme.datasets.folders import is_sign_clip, read_signs
from chereme.datasets.pose_clips import (
    CLIPS,
    POSES,
    Entry,
    PoseCorpus,
    prepare_poses,
    relabel,
    write_poses,
)
from chereme.datasets.preparation import Preparation
from chereme.datasets.shards import UNSPLIT
from chereme.errors import InputError, UsageError, some
from chereme.hands.detector import own_detector
from chereme.nn.checkpoint_files import load_tensors
from chereme.recognition.bundle import CONFIG
from chereme.recognition.config import Abstention
from chereme.recognition.hand_landmarks import MakeDetector
from chereme.synthesis.other_signs import other_signs
from chereme.systems.own_signs.abstention import (
    UNTESTED,
    Rule,
    ValOutputs,
    measure,
    predict,
    settle,
)
from chereme.systems.own_signs.report import Guess, Report, draw_confusions, write_report
from chereme.systems.own_signs.splits import Division, divide
from chereme.systems.signbert.augmentation import PoseAugmentation
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.encoder import EncoderConfig
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.recognizer import HeadConfig, SignBertConfig
from chereme.systems.signbert.task import IsolatedTask, load_signbert
from chereme.training.export import export
from chereme.training.isolated_scoring import gloss_ranks
from chereme.training.memory import keep_freed_memory
from chereme.training.optimiser import OptimiserConfig
from chereme.video import Limits

Bar = Callable[[int, int | None], None]
Bars = Callable[[str, str], AbstractContextManager[Bar]]
"""Makes a progress bar of a name and a unit; it is called with what is done and what is to do."""

REPORT, PICTURE = "report.md", "confusion.png"
_LAST, _RUN, _RULE = "last.ckpt", "run.json", "abstention.json"
FEWEST = 6  # signs, of which some can be left out of a training
FEW_CLIPS = 300  # to train on: of so many each sign is left out once, of more a third of them
OTHER_CLIPS = (150, 3000)  # of other signs: as many as are trained on, but within these bounds


def no_bars(name: str, unit: str) -> AbstractContextManager[Bar]:
    """Progress that nobody watches."""
    return nullcontext(lambda done, expected: None)


def work_folder(model: str | Path) -> Path:
    """What is not the bundle ``model`` is here: joints, checkpoint, report, picture."""
    model = Path(model)
    named = model if model.name else model.resolve()
    return named.with_name(f"{named.name}.training")


@dataclass(frozen=True)
class Plan:
    """How the recogniser is trained, see ``plan``."""

    epochs: int
    batch_size: int
    learning_rate: float


def plan(clips: int, *, pretrained: bool = False, epochs: int | None = None) -> Plan:
    """Sensible numbers for ``clips`` to train on.

    Few clips are seen 120 times, thousands 25 times. Fine-tuning of a pre-training takes smaller
    steps.
    """
    often = math.ceil(1500 / math.sqrt(max(clips, 1)))
    return Plan(
        epochs=min(max(often, 25), 120) if epochs is None else epochs,
        batch_size=int(np.clip(2 ** round(math.log2(max(clips, 1) / 8)), 8, 32)),
        learning_rate=5e-4 if pretrained else 2e-3,
    )


def network() -> SignBertConfig:
    """SignBERT for few clips: fewer channels and layers than the paper's, and more dropout.

    It sees the path of the hands, since nobody knows how one's own signs differ.
    """
    encoder = EncoderConfig(
        gesture=GestureConfig(widths=(24, 48)),
        dim=96,
        layers=2,
        heads=4,
        feed_forward=192,
        dropout=0.1,
        path=True,
    )
    return SignBertConfig(encoder=encoder, head=HeadConfig(dropout=0.3))


def train_signs(
    folder: str | Path,
    model: str | Path,
    *,
    signer: str | None = None,
    epochs: int | None = None,
    initial: str | Path | None = None,
    test: bool = True,
    rate: float | None = None,
    workers: int = 1,
    seed: int = 0,
    limits: Limits | None = None,
    make_detector: MakeDetector = own_detector,
    bars: Bars = no_bars,
    say: Callable[[str], None] = lambda message: None,
) -> Report:
    """Train a recogniser of the signs in ``folder`` and write it to ``model``.

    Args:
        folder: a folder for each sign, called by its gloss, with its clips (videos, folders of
            frames, ``.pose`` or ``.npz``); or folders train and test with such folders; or a
            manifest.
        model: of the new bundle; ``<model>.training`` is written beside it.
        signer: a regular expression that finds the signer in ``<gloss>/<clip>``.
        epochs: how often each clip is seen; None: by their number.
        initial: the checkpoint of a pre-training, to fine-tune.
        test: whether some clips are kept aside for it.
        rate: frames a second of folders of frames (default 30), and of landmark files in the place
            of what they say.
        workers: processes that look for hands.
        limits: the largest clips to accept.
        bars: makes progress bars.
        say: is told what has to be known, line by line.

    Raises:
        InputError: nothing that could be trained on, and why.
        UsageError: fewer than two glosses, or a ``model`` that is something else.
        BundleError: ``initial`` is no checkpoint of SignBERT.
    """
    folder, model = Path(folder), Path(model)
    _check_output(model)
    work = work_folder(model)
    if epochs is not None and epochs < 1:
        raise UsageError(f"epochs: expected at least 1, got {epochs}")
    if initial is not None:
        load_signbert(initial)  # before hours of looking for hands
    corpus, notes = _read(folder, signer)
    for note in notes:
        say(note)
    with bars("looking for hands", "clips") as bar:
        preparation = prepare_poses(
            corpus,
            work / "poses",
            rate=rate,
            workers=workers,
            limits=limits,
            make_detector=make_detector,
            progress=bar,
        )
    for line in preparation.report().splitlines()[:2]:  # how many, and why not all
        if UNSPLIT not in line:
            say(line)
    entries, division, more = _settle(work / "poses", folder, preparation, test=test, seed=seed)
    for note in more:
        say(note)
    trained = sum(division.split(entry) == "train" for entry in entries)
    how = plan(trained, pretrained=initial is not None, epochs=epochs)
    others = write_others(work, trained, seed)
    run = Run(work, others, how, initial, seed)
    with bars("training", "steps") as bar:
        data = run.train(work, bar)
    val_outputs, distances = predict(work / _LAST, data)
    left_out = [
        _left_out(run, number, names, bars) for number, names in enumerate(_folds(entries, seed))
    ]
    rule, doubts = _rule(work, data.classes, val_outputs, division)
    distances.scale *= rule.scale
    report = Report(
        name=model.resolve().name,
        model=model,
        folder=folder,
        preparation=preparation,
        entries=entries,
        division=division,
        guesses=_guesses(val_outputs, data.classes),
        notes=(*notes, *more, *doubts),
        about={**asdict(how), "frames": data.frames, "initial": str(initial or "none")},
        abstention=rule.abstention,
        known=measure([val_outputs]),
        unknown=measure(left_out),
    )
    export(work / _LAST, model, description=report.description(), distances=distances)
    write_report(report, work / REPORT, PICTURE if report.guesses else None)
    if report.guesses:
        draw_confusions(report, work / PICTURE)
    return report


# -- the clips -------------------------------------------------------------------------------------
def _check_output(model: Path) -> None:
    if model.exists() and (
        not model.is_dir() or (any(model.iterdir()) and not (model / CONFIG).is_file())
    ):
        raise UsageError(
            f"{model}: expected the name of a new folder, or of a model to replace, got something "
            "else; give another name with -o"
        )


def _read(folder: Path, signer: str | None) -> tuple[Corpus, tuple[str, ...]]:
    """The clips, and what to know of those that are not among them."""
    notes: list[str] = []
    listed = folder.is_file() or (folder / "manifest.csv").is_file()
    if not listed and folder.is_dir() and not any(path.is_dir() for path in folder.iterdir()):
        raise InputError(
            f"{folder}: expected a folder for each sign with its clips in it, <gloss>/<clip>, got "
            "no folder at all"
        )
    corpus = read_signs(folder, signer=signer)
    empty = [f.id for f in corpus.findings if f.reason == "no clip in its folder"]
    if not listed:
        glosses = {item.path.parent for item in corpus.items} | {folder / name for name in empty}
        others = [p for g in sorted(glosses) for p in sorted(g.iterdir()) if not is_sign_clip(p)]
        above = {p for gloss in glosses for p in gloss.parents if p.is_relative_to(folder)}
        loose = [p for top in sorted(above) for p in sorted(top.iterdir()) if p.is_file()]
        if lost := [p.name for p in loose if is_sign_clip(p)]:
            notes.append(
                f"{len(lost):,} clips lie in no folder of a sign and are left out: {some(lost)}"
            )
        if odd := [p.relative_to(folder).as_posix() for p in others if p.name[0] != "."]:
            notes.append(
                f"{len(odd):,} files are no clips (videos, folders of frames, .pose, .npz) and are "
                f"left out: {some(odd)}"
            )
    unlabelled = sum(not item.label.strip() for item in corpus.items)
    if unlabelled:
        items = tuple(item for item in corpus.items if item.label.strip())
        corpus = replace(corpus, items=items)
        notes.append(f"{unlabelled:,} clips have no gloss and are left out")
    if empty:
        notes.append(f"signs without any clip, which the model will not know: {some(empty)}")
    if signer is not None and (lost := [i.id for i in corpus.items if i.signer is None]):
        notes.append(f"the signer is not found in {len(lost):,} clips: {some(lost)}")
    _check_glosses(Counter(_key(item.label) for item in corpus.items), folder, "")
    return corpus, tuple(notes)


def _key(gloss: str) -> str:
    """The same for glosses that differ in case or white space alone."""
    return " ".join(gloss.split()).casefold()


def _check_glosses(glosses: Counter[str], folder: Path, why: str) -> None:
    if len(glosses) < 2:
        raise UsageError(
            f"{folder}: expected at least 2 signs to tell apart, each a folder with clips, got "
            f"{', '.join(map(repr, glosses)) or 'none'}{why}"
        )


def _settle(
    poses: Path, folder: Path, preparation: Preparation, *, test: bool, seed: int
) -> tuple[tuple[Entry, ...], Division, tuple[str, ...]]:
    """Write down the gloss and the split of each prepared clip."""
    notes: list[str] = []
    found = PoseCorpus(poses).entries
    spelt: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in found:
        spelt[_key(entry.label)][" ".join(entry.label.split())] += 1
    named = {key: forms.most_common(1)[0][0] for key, forms in spelt.items()}
    for key, forms in spelt.items():
        if len(forms) > 1:
            notes.append(f"{', '.join(sorted(forms))}: taken for one sign, {named[key]}")
    lost = {_key(item.label): item.label for item in preparation.corpus.items}
    dropped = Counter(row.reason for row in preparation.rows if row.status == "dropped")
    why = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    if gone := sorted(lost[key] for key in lost.keys() - named.keys()):
        notes.append(
            f"signs of which no clip can be used ({why}), which the model will not know: "
            f"{some(gone)}"
        )
    _check_glosses(Counter(named.values()), folder, f"; dropped clips: {why}" if why else "")
    if few := sorted(named[key] for key, forms in spelt.items() if forms.total() == 1):
        notes.append(f"signs of a single clip, which are learnt badly: {some(few)}")
    entries = [replace(entry, label=named[_key(entry.label)]) for entry in found]
    if short := [entry.id for entry in entries if entry.frames == 1]:
        notes.append(f"clips of one frame, in which no movement is to be seen: {some(short)}")
    division = divide(entries, test=test, seed=seed)
    splits = {e.id: replace(e, split=division.split(e)) for e in entries}
    if not any(entry.split == "train" for entry in splits.values()):
        raise InputError(f"{preparation.corpus.name}: expected clips in its split train, got none")
    return relabel(poses, lambda entry: splits[entry.id]), division, (*notes, *division.notes)


# -- training --------------------------------------------------------------------------------------
class _Bar(Callback):
    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.bar(trainer.global_step, int(trainer.estimated_stepping_batches))


@dataclass(frozen=True)
class Run:
    """What all trainings on the clips of a folder ``work`` have in common; ``others``: a folder of
    clips of other signs, None to learn nothing of them."""

    work: Path
    others: Path | None
    how: Plan
    initial: str | Path | None = None
    seed: int = 0

    def train(self, folder: Path, bar: Bar, without: Sequence[str] = ()) -> PoseData:
        """Train to the end in ``folder``, or go on with a run of the same clips and settings; what
        was trained on. ``without``: glosses that are left out."""
        poses, config = self.work / "poses", network()
        data = PoseData(
            [str(poses)],
            dev=[],  # of few clips the best epoch would be chance, and its score too good
            sampling="spread",
            batch_size=self.how.batch_size,
            seed=self.seed,
            augmentation=PoseAugmentation(),
            others=[] if self.others is None else [str(self.others)],
            without=without,
        )
        settings = {
            **asdict(self.how),
            "seed": self.seed,
            "network": asdict(config.encoder),
            "poses": _digest(poses, self.initial),
            "without": list(without),
            "others": self.others and self.others.name,
        }
        folder.mkdir(parents=True, exist_ok=True)
        run, last = folder / _RUN, folder / _LAST
        resumed = run.is_file() and run.read_text(encoding="utf-8") == json.dumps(settings)
        if not resumed:
            last.unlink(missing_ok=True)
            run.unlink(missing_ok=True)
            run.write_text(json.dumps(settings), encoding="utf-8")
        keep_freed_memory()
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        torch.manual_seed(self.seed)
        optimiser = OptimiserConfig(
            "adamw", self.how.learning_rate, weight_decay=0.01, schedule="one_cycle", warm_up=0.15
        )
        begun = "scratch" if self.initial is None else str(self.initial)
        task = IsolatedTask(config, begun, optimiser=optimiser)
        trainer = Trainer(
            default_root_dir=folder,
            max_epochs=self.how.epochs,
            devices=1,
            gradient_clip_val=5.0,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[_Bar(bar)],
        )
        with warnings.catch_warnings():
            # What of the clips there is to know has been said by now, and of all of them.
            warnings.simplefilter("ignore")
            going_on = str(last) if resumed and last.is_file() else None
            if going_on is not None:
                load_tensors(going_on, mmap=True)
            try:
                trainer.fit(task, datamodule=data, ckpt_path=going_on, weights_only=True)
            except SystemExit as stop:  # Lightning ends the program itself on Ctrl-C
                raise KeyboardInterrupt from stop
        return data


def write_others(work: Path, clips: int, seed: int) -> Path:
    """A folder of clips of other signs, for so many ``clips`` to train on."""
    count = int(np.clip(clips, *OTHER_CLIPS))
    folder = work / f"others-{count}-{seed}"
    if not (folder / CLIPS).is_file():
        write_poses(other_signs(count, seed), folder)
    return folder


def _digest(poses: Path, initial: str | Path | None) -> str:
    """Of all that is trained on."""
    digest = hashlib.sha256()
    for path in (poses / CLIPS, poses / POSES, *([Path(initial)] if initial else [])):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


# -- the test --------------------------------------------------------------------------------------
def _guesses(val_outputs: ValOutputs, glosses: Sequence[str]) -> tuple[Guess, ...]:
    """The gloss that is ranked first in each clip, and the rank of the right one."""
    scores = val_outputs.logits[:, :-1]
    labels = [entry.label for entry in val_outputs.entries]
    found = gloss_ranks(scores, labels, glosses)
    return tuple(
        Guess(entry, glosses[int(row.argmax())], int(rank))
        for entry, row, rank in zip(val_outputs.entries, scores, found, strict=True)
    )


def _folds(entries: Sequence[Entry], seed: int) -> list[tuple[str, ...]]:
    """Glosses that are left out of a training each, to see what is made of signs that it does not
    know: a third of them, and of few clips each third once. None where they or the clips of the
    test are too few."""
    trained = Counter(entry.label for entry in entries if entry.split == "train")
    tested = {entry.label for entry in entries if entry.split == "test"} & trained.keys()
    if len(trained) < FEWEST or len(tested) < 2:
        return []
    glosses = np.random.default_rng(seed).permutation(sorted(trained)).tolist()
    thirds = [tuple(sorted(glosses[number::3])) for number in range(3)]
    return thirds if trained.total() <= FEW_CLIPS else thirds[:1]


def _left_out(run: Run, number: int, glosses: tuple[str, ...], bars: Bars) -> ValOutputs:
    """What a recogniser that was trained without ``glosses`` says of the clips of the test."""
    folder = run.work / f"without_{number + 1}"
    with bars(f"training without {len(glosses)} signs ({number + 1})", "steps") as bar:
        data = run.train(folder, bar, glosses)
    return predict(folder / _LAST, data)[0]


def _rule(
    work: Path, glosses: Sequence[str], val_outputs: ValOutputs, division: Division
) -> tuple[Rule, tuple[str, ...]]:
    """When no answer is given, and what to know of it.

    A test settles it; a training on all clips goes by the test before it, of the same glosses.
    """
    kept = work / _RULE
    if val_outputs.known.entries:
        found = settle(val_outputs)
        about = {"classes": list(glosses), **asdict(found)}
        kept.write_text(json.dumps(about), encoding="utf-8")
        if division.by == "clip":
            return found, (
                "The threshold below which no answer is given was settled on other clips of the "
                "same signers: strangers will be rejected more often.",
            )
        return found, ()
    if kept.is_file():
        about = json.loads(kept.read_text(encoding="utf-8"))
        if about["classes"] == list(glosses):
            note = "The threshold below which no answer is given is that of the test before."
            return Rule(about["scale"], Abstention(**about["abstention"])), (note,)
    return UNTESTED, (
        "The threshold below which no answer is given "
        f"({UNTESTED.abstention.min_probability:g}) was not settled on any clip; train without "
        "--all first.",
    )
