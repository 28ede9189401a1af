"""Accuracy on hands that training never saw: people are left out, in turns.

    python benchmarks/cross_validation.py spelling --exemplars runs/exemplars.npz \\
        --lm runs/lm/lm.onnx --output runs/others
    python benchmarks/cross_validation.py letters \\
        --exemplars '[runs/exemplars.npz, runs/digits.npz]' --output runs/letters/others

Recognisers are trained on all others, for fewer steps than the bundled ones. Folds that are done
are not done again, and one that was cut off goes on. ``report.json`` has all figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import letter_clips
from inventions import JUDGED, judged
from jsonargparse import auto_cli
from people import letters_of, read_recordings, readers_of, results
from recordings import people_of
from results import markdown

from chereme.datasets.exemplars import DIGITS, Exemplars, concat_exemplars, set_apart
from chereme.datasets.letter_collections import KEPT
from chereme.datasets.pose_clips import Entry, write_poses
from chereme.decoding import LanguageModel, Lexicon, OnnxLanguageModel
from chereme.recognition.word_lists import parse_lexicon
from chereme.synthesis.letters import LOOK_ALIKES, LetterClips
from chereme.synthesis.stills import RENDERED_SIGNERS
from chereme.systems.fingerspelling import left_out
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.task import load_signbert
from chereme.text import ASL_LETTERS
from chereme.training.cli import main as train
from chereme.training.isolated_scoring import gloss_ranks, score_glosses

CONFIGS = {"landmarks": "landmarks", "rgb": "hand"}  # of each stream, in configs/fingerspelling
LETTER_FOLDS = (("hand3", "hand4", "hand5"), ("wild",), ("recording",))
# Few, made up or unnamed hands, which every fold trains on; what may be of one person or another.
ALWAYS, UNSURE = ("animation", "digits", "manual", *RENDERED_SIGNERS), "_unsure"
Ranked = list[tuple[Entry, int]]  # clips, and the rank of the right gloss of each


def trained(folder: Path, config: str, *options: str) -> Path:
    """The last checkpoint in ``folder``, trained as far as it is not yet."""
    last = folder / "last.ckpt"
    if not (folder / "metrics.json").is_file():
        more = (f"--resume={last}",) if last.is_file() else ()
        quiet = "--trainer.enable_progress_bar=false"
        train([f"--config=configs/{config}.yaml", f"--output={folder}", quiet, *options, *more])
    return last


def write_report(folder: Path, report: dict[str, Any], page: str) -> None:
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "report.md").write_text(page + "\n")
    print(page)


# -- spelling --------------------------------------------------------------------------------------
def decoded(
    made: list[left_out.Asked], lm: LanguageModel, words: Lexicon | None
) -> tuple[list[left_out.Answer], dict[str, Any]]:
    """The answers, but for the texts by which decoding was tuned, and how that is, by stream."""
    tested, decodings = left_out.tuned(made, lm, words)
    answers = [answer for one in tested for answer in left_out.read(*one, decodings)]
    return answers, {stream: one.facts for stream, one in decodings.items()}


def spelling(
    exemplars: Path,
    output: Path,
    lm: Path,
    lexicon: Path | None = None,
    folds: int = 4,
    epochs: int = 2,
    texts: int = 40,
    options: tuple[str, ...] = (),
    strangers: Path | None = None,
    checkpoints: tuple[tuple[Path, ...], ...] = (),
    root: Path | None = None,
    rendered: Path | None = None,
    bundles: tuple[str, ...] = (),
) -> None:
    """The recognisers of landmarks, of pictures of the hand, and both together.

    Decoding is tuned on one half of the texts, as many strings as words, for what is spelled is
    often in no dictionary; figures of texts are of the other half. Of people left out and of
    strangers apart, since networks of few steps want more help. ``report.md`` is the page.

    Args:
        folds: groups of people, each of which is left out once; 0: everyone by himself.
        texts: words of each person, and as many strings.
        options: of chereme train.
        strangers: exemplars of people whom nothing is trained on, asked of ... (their letters that
            a model of the others takes for other letters throughout are asked apart)
        checkpoints: ... networks of landmarks and networks of pictures that know all others.
        root: the data folder, whose recordings of strangers ...
        rendered: ... and a corpus of chereme synthesize ...
        bundles: ... are read by a model of landmarks and one of pictures, on the whole path.
    """
    hands = Exemplars.load(exemplars)
    signers = {*hands.signer.tolist()} - {*ALWAYS}
    kept = sorted({name for name in hands.motion_signer.tolist() if name.endswith(KEPT)})
    people = sorted({name.removesuffix(UNSURE) for name in signers})
    groups = [people[k::folds] for k in range(folds)] if folds else [[one] for one in people]
    moving = [*left_out.motions(hands.select(only=(*kept,)))] if kept else []
    recorded = [*letters_of(root)] if root else []
    made = []
    for number, group in enumerate(groups):
        name = f"{number + 1}_of_{len(groups)}"
        own = sorted(one for one in signers if one.removesuffix(UNSURE) in group)
        networks = {}
        for stream, config in CONFIGS.items():
            last = trained(
                output / name / config,
                f"fingerspelling/{config}",
                f"--trainer.max_epochs={epochs}",
                f"--data.init_args.exemplars={exemplars}",
                f"--data.init_args.held_out={json.dumps(own)}",
                *options,
            )
            networks[stream] = [load_checkpoint(last)]
        asked = moving[number :: len(groups)] + [one for one in recorded if one.person in own]
        for person in own:
            asked += left_out.questions(hands.select(only=(person, *kept)), person, texts)
        made += [(one, left_out.emissions(networks, one.track)) for one in asked]
        print(f"{name}: {', '.join(own)}", flush=True)
    words = parse_lexicon(lexicon.read_bytes(), lexicon, ASL_LETTERS) if lexicon else None
    decode = partial(decoded, lm=OnnxLanguageModel(lm), words=words)
    answers, decoding = decode(made)
    report: dict[str, Any] = {"groups": groups, "epochs": epochs, "decoding": decoding}
    page = [f"# Spelling\n\n{epochs} epochs a fold; {json.dumps(decoding)}"]
    found = {"people left out": answers}
    if strangers and checkpoints:
        both = zip(CONFIGS, checkpoints, strict=True)
        networks = {stream: [load_checkpoint(path) for path in own] for stream, own in both}
        real = hands.select(without=RENDERED_SIGNERS)
        sure, unsure = set_apart(Exemplars.load(strangers), real)
        asked = [q for name, own in people_of(sure) for q in left_out.questions(own, name, texts)]
        asked += moving
        for name, own in people_of(unsure):
            stills = (q for q in left_out.questions(own, name, 0) if q.kind == left_out.STILLS)
            asked += [replace(one, kind=f"{one.kind}, doubtful") for one in stills]
        made = [(one, left_out.emissions(networks, one.track)) for one in asked]
        found["hands of strangers"], decoding = decode(made)
        doubts = unsure.left_out.tolist()
        report |= {"doubtful letters": doubts, "decoding of strangers": decoding}
        page.append(f"Strangers: {json.dumps(decoding)}; doubtful letters: {'; '.join(doubts)}")
    if root and bundles:
        readers = readers_of(bundles)
        found["recordings of strangers"] = list(read_recordings(readers, root, rendered))
    for title, given in found.items():
        report[title], tables = results(given)
        page.append(f"## {title.capitalize()}\n\n{tables}")
    if root and bundles and strangers:
        report["letters where nobody spells"] = lines = judged(readers["fused"], root, strangers)
        page.append(f"## Letters where nobody spells\n\n{markdown(JUDGED, lines)}")
    write_report(output, report, "\n\n".join(page))


# -- single letters and digits ---------------------------------------------------------------------
def ranked(folder: Path, kind: str) -> Iterator[tuple[Entry, int]]:
    """What the recogniser of a fold makes of its test clips of a kind."""
    model, about = load_signbert(folder / "run" / "last.ckpt")
    test, settings = [str(folder / kind)], {key: about[key] for key in ("frames", "sampling")}
    data = PoseData([str(folder / "composed")], dev=[], test=test, batch_size=64, **settings)
    data.setup("test")
    entries = data.entries("test")
    with torch.no_grad():
        logits = [model(batch.poses).numpy() for batch in data.whole("test")]
    places = gloss_ranks(np.concatenate(logits), [e.label for e in entries], about["classes"])
    yield from zip(entries, places.tolist(), strict=True)


def scores(found: Ranked, *, by_signer: bool) -> dict[str, Any]:
    """Letters; digits of a shape of their own; and those that look like a letter. Intervals are of
    clips that are drawn, or of signers, of whom those in the wild count as one."""
    parts: dict[str, Ranked] = {"letters": [], "digits": [], "look_alikes": []}
    for entry, place in found:
        one = replace(entry, signer=(entry.signer or "wild") if by_signer else ""), place
        digit = "look_alikes" if entry.label in LOOK_ALIKES else "digits"
        parts[digit if entry.label in DIGITS else "letters"].append(one)
    result: dict[str, Any] = {}
    for name, some in parts.items():
        if some:
            entries, places = zip(*some, strict=True)
            said = score_glosses(np.array(places), entries, [e.label for e in entries])
            kept = ("clips", "signers", "top1", "top1_interval", "top2", "top2_interval")
            result[name] = {key: said[key] for key in kept}
    entries, places = zip(*parts["letters"], strict=True)
    labels, hits = np.array([e.label for e in entries]), np.array(places) == 1
    shares = {str(c): 100 * float(hits[labels == c].mean()) for c in np.unique(labels)}
    result["recall"] = {letter: round(share, 1) for letter, share in shares.items()}
    return result


def letters(
    exemplars: list[Path],
    output: Path,
    clips: int = 6400,
    epochs: int = 10,
    folds: tuple[tuple[str, ...], ...] = LETTER_FOLDS,
) -> None:
    """The recogniser of single letters and digits, trained on ``clips`` in each fold."""
    hands = concat_exemplars([Exemplars.load(path) for path in exemplars])
    figures: dict[str, dict[str, Any]] = {}
    pooled: dict[str, Ranked] = {"photographed": [], "composed": []}
    for signers in folds:
        folder = output / "_".join(signers)
        if not (folder / "composed" / "clips.csv").is_file():
            own = letter_clips(hands.select(only=signers))
            tested = (c._replace(entry=replace(c.entry, split="test")) for c in own)
            write_poses(tested, folder / "photographed")
            write_poses(LetterClips(hands, clips, test=signers), folder / "composed")
        trained(
            folder / "run",
            "signbert/letters",
            f"--trainer.max_epochs={epochs}",
            f"--trainer.check_val_every_n_epoch={epochs}",
            f"--data.init_args.poses=[{folder / 'composed'}]",
        )
        for kind, all_of_kind in pooled.items():
            found = list(ranked(folder, kind))
            all_of_kind += found
            figures.setdefault(folder.name, {})[kind] = scores(found, by_signer=False)
        print(folder.name, json.dumps(figures[folder.name]), flush=True)
    everything = {kind: scores(found, by_signer=True) for kind, found in pooled.items()}
    report = {"clips": clips, "epochs": epochs, "folds": figures, **everything}
    write_report(output, report, json.dumps(everything, indent=2))


if __name__ == "__main__":
    torch.set_num_threads(1)
    auto_cli([spelling, letters], as_positional=False)
