"""``chereme prepare``: what training reads, from collections of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import ProgressBar, say
from chereme.errors import UsageError
from chereme.formats.outputs import check_output_folder, new_file

EXEMPLARS, LETTERS, RENDERED, PHOTOGRAPHS = "exemplars", "letters", "rendered", "photographs"
SIGNING = "signing"


class Subset(StrEnum):
    """Words of NMFs-CSL."""

    all = "all"
    confusing = "confusing"
    normal = "normal"


class EngineName(StrEnum):
    """Where hands are looked for."""

    local = "local"
    ray = "ray"


class TeacherName(StrEnum):
    """Whose vectors can go with the clips."""

    landmarks = "landmarks"
    synthetic = "synthetic"
    hamer = "hamer"
    hamer_vit = "hamer-vit"
    precomputed = "precomputed"


def prepare(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Fingerspelling: chicagofswild, chicagofswildplus, greek, or folder (a manifest: "
            "recordings of your own, or of chereme synthesize). rendered: clips of made-up "
            "signers; photographs: clips made of photographs of letters. exemplars: handshapes of "
            "letters, from photographs. Isolated signs: wlasl, msasl, slr500, nmfs-csl, or signs "
            "(a folder for each sign with its clips, or a manifest); letters: made of exemplars. "
            "signing: videos of sentences of made-up signs, with their pose tracks.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The folder to write; for exemplars the file."
        ),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder of the data set, or its manifest; rendered has none."
        ),
    ] = None,
    teacher: Annotated[
        list[TeacherName] | None,
        typer.Option(help="Whose vectors go with the clips; may be given more than once."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For teacher hamer: its hamer.ckpt.")
    ] = None,
    vectors: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="For teacher precomputed: a folder of <clip id>.npy."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(metavar="K", help="Of greek: who is tested, 1 to 7.")
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Glosses. Of wlasl: 100, 300, 1000 or 2000; of msasl: 100, 200, 500 or 1000.",
            show_default="all",
        ),
    ] = None,
    subset: Annotated[Subset | None, typer.Option(help="Of nmfs-csl: which words.")] = None,
    videos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of isolated signs: where the clips are, if not in DIR."),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of wlasl: its list; of slr500: the dictionary; of nmfs-csl: words.",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Of msasl: names of cut clips, {split}/{row:05d}."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Of wlasl: recordings that nobody has cut into clips.")
    ] = False,
    signer: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="Of signs: finds the signer in SIGN/CLIP, as '/([^_]+)_'."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of signs: the sign language, as ase.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Pixels of a side of the crops; of signing, of the pictures (96).",
            show_default="256",
            min=8,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that look for hands.", min=1)
    ] = 1,
    engine: Annotated[
        EngineName, typer.Option(help="local: on this machine; ray: on those of a Ray cluster.")
    ] = EngineName.local,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try clips again that an earlier run dropped.")
    ] = False,
    clips: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of all that is made or rendered: how many clips.", min=1),
    ] = None,
    signers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of rendered and signing.",
            show_default="one for each 10 clips; of signing, 30",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="Frames a second: of rendered and photographs (20), of signing (12.5), of folders "
            "of frames (30).",
            show_default=False,
        ),
    ] = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNER",
            help="Not to train on. Of photographs and letters: hand1 to hand5, wild, manual; of "
            "slr500: P01.",
        ),
    ] = None,
    test: Annotated[list[str] | None, typer.Option(metavar="SIGNER", help="Likewise.")] = None,
    variants: Annotated[
        int, typer.Option(metavar="N", help="Of exemplars: times that each photograph is seen.")
    ] = 6,
    exemplars: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Of letters: a file of handshapes; may be repeated."),
    ] = None,
    digits: Annotated[
        bool, typer.Option("--digits", help="Of exemplars: digits in the place of letters.")
    ] = False,
    rendered: Annotated[
        int,
        typer.Option(metavar="N", help="Of exemplars: made-up signers to add, two views a letter."),
    ] = 0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of what is made: the same seed gives the same files.")
    ] = 0,
    overwrite: options.Overwrite = False,
    max_pixels: options.MaxPixels = None,
    max_seconds: options.MaxSeconds = None,
    max_frames: options.MaxFrames = None,
) -> None:
    """Prepare DATASET for training. Fingerspelling: crops of the signing hand, its landmarks, and
    what teachers say of them, in WebDataset tars. Isolated signs: the joints of both hands.

    A run that was stopped goes on where it was. What became of each clip is in status.csv.
    """
    of_crops = {
        "--teacher": teacher,
        "--checkpoint": checkpoint,
        "--vectors": vectors,
        "--size": size,
    }
    of_runs = {"--retry": retry, "--engine": engine is EngineName.ray}
    of_made = {"--clips": clips}
    of_letters = {"--exemplars": exemplars}
    of_exemplars = {"--digits": digits}
    # What the reader of a data set may be asked; the catalogue says which takes what.
    asked: dict[str, object] = {
        "fold": fold,
        "classes": classes,
        "subset": subset and subset.value,
        "videos": videos,
        "metadata": metadata,
        "names": names,
        "whole": whole,
        "signer": signer,
        "language": language,
    }
    of_readers = {f"--{name}": value for name, value in asked.items()}
    kept = {"--dev": dev, "--test": test}
    if dataset == EXEMPLARS:
        others = {**of_runs, **of_crops, **of_made, **of_readers, **of_letters, **kept}
        _refuse(dataset, {**others, "--rate": rate, "--signers": signers})
        if digits and rendered:
            raise UsageError("exemplars: made-up signers (--rendered) have no digits (--digits)")
        with new_file(output, overwrite=overwrite) as part:
            _prepare_exemplars(_needed(root, dataset), part, digits, variants, rendered, seed)
        say(f"{output}: written")
        return
    _refuse(dataset, of_exemplars)
    if dataset == LETTERS:
        others = {**of_runs, **of_crops, **of_readers, "--rate": rate, "--signers": signers}
        _refuse(dataset, {**others, "--root": root})
        check_output_folder(output, overwrite=overwrite)
        _prepare_letters(exemplars, output, clips, dev, test, seed)
        return
    _refuse(dataset, of_letters)
    if dataset == SIGNING:
        others = {**of_runs, **of_crops, **of_readers, **kept, "--root": root, "--size": None}
        _refuse(dataset, others)
        check_output_folder(output, overwrite=overwrite, resumed=True)
        _prepare_signing(output, clips, signers, seed, rate, size, workers)
        return
    if dataset in (RENDERED, PHOTOGRAPHS):
        of_other = {"--root": root, **kept} if dataset == RENDERED else {"--signers": signers}
        _refuse(dataset, {**of_runs, **of_readers, **of_other})
        if clips is None:
            raise UsageError(f"{dataset}: expected --clips N, which says how many to make")
        check_output_folder(output, overwrite=overwrite, resumed=True)
        teachers, settings = _teachers(teacher, checkpoint, vectors), _settings(size)
        made = require("chereme.synthesis.shards", extra="train")
        if dataset == RENDERED:
            maker = made.RenderedClips(clips, signers, seed, rate or made.RATE, settings)
        else:
            folder, left_out = _needed(root, dataset), (tuple(dev or ()), tuple(test or ()))
            maker = made.PhotographClips(
                folder, clips, seed, rate or made.RATE, settings, *left_out
            )
        with ProgressBar(dataset, unit="clips") as progress:
            count = made.write_clips(maker, output, teachers, workers=workers, progress=progress)
        say(f"{output}: {count:,} clips")
        return
    catalogue = require("chereme.datasets.catalogue", extra="train")
    _refuse(dataset, {**of_made, "--signers": signers})
    poses = catalogue.into(dataset) == "poses"
    _refuse(dataset, {**of_crops, **of_runs} if poses else {"--rate": rate})
    check_output_folder(output, overwrite=overwrite, resumed=True)
    # The teachers before the data set, whose reading may take long.
    teachers = [] if poses else _teachers(teacher, checkpoint, vectors)
    corpus = catalogue.open_corpus(dataset, _needed(root, dataset), dev=dev, test=test, **asked)
    limits = options.limits(max_pixels, max_seconds, max_frames)
    with ProgressBar(corpus.name, unit="clips") as progress:
        if poses:
            module = require("chereme.datasets.pose_clips", extra="train")
            more = {} if rate is None else {"rate": rate}
            result = module.prepare_poses(
                corpus, output, workers=workers, limits=limits, progress=progress, **more
            )
        else:
            result = require("chereme.datasets.teaching", extra="train").prepare(
                corpus,
                output,
                teachers,
                size=size,
                workers=workers,
                engine=engine.value,
                retry=retry,
                limits=limits,
                progress=progress,
            )
    for line in result.report().splitlines():
        say(line)
    say(f"{output}: written")


def _prepare_signing(
    output: Path,
    clips: int | None,
    signers: int | None,
    seed: int,
    rate: float | None,
    size: int | None,
    workers: int,
) -> None:
    if clips is None:
        raise UsageError(f"{SIGNING}: expected --clips N, which says how many to make")
    film = require("chereme.synthesis.signing_film", extra="train")
    signing = require("chereme.synthesis.signing", extra="train")
    asked = {} if rate is None else {"rate": rate}
    filmed = film.FilmedSigning(
        signing.Signing(clips, signers, seed, **asked), **({} if size is None else {"size": size})
    )
    with ProgressBar(SIGNING, unit="clips") as progress:
        filmed.write(output, workers=workers, progress=progress)
    say(f"{output}: {clips:,} clips")


def _teachers(
    names: Sequence[TeacherName] | None, checkpoint: Path | None, vectors: Sequence[Path] | None
) -> Any:
    module = require("chereme.datasets.teaching", extra="train")
    files = module.TeacherFiles(checkpoint, tuple(vectors or ()))
    return module.open_teachers([name.value for name in names or ()], files)


def _settings(size: int | None) -> Any:
    return require("chereme.datasets.teaching", extra="train").crop_settings(size)


def _needed(root: Path | None, dataset: str) -> Path:
    if root is None:
        raise UsageError(f"{dataset}: expected --root DIR, the folder of the data")
    return root


def _refuse(dataset: str, options: Mapping[str, object]) -> None:
    """UsageError if one of ``options``, which are for others, was given."""
    if given := [option for option, value in options.items() if value]:
        raise UsageError(f"{dataset}: {', '.join(given)} is for other data sets")


def _prepare_letters(
    files: Sequence[Path] | None,
    output: Path,
    clips: int | None,
    dev: Sequence[str] | None,
    test: Sequence[str] | None,
    seed: int,
) -> None:
    if not files or clips is None:
        raise UsageError(
            f"{LETTERS}: expected --clips N, and --exemplars FILE of chereme prepare {EXEMPLARS}"
        )
    module = require("chereme.synthesis.letters", extra="train")
    exemplars = require("chereme.datasets.exemplars", extra="train")
    hands = exemplars.joined([exemplars.Exemplars.load(file) for file in files])
    made = module.LetterClips(hands, clips, tuple(dev or ()), tuple(test or ()), seed)
    with ProgressBar(LETTERS, unit="clips") as progress:
        count = module.write(made, output, progress=progress)
    say(f"{output}: {count:,} clips")


def _prepare_exemplars(
    root: Path, output: Path, digits: bool, variants: int, rendered: int, seed: int
) -> None:
    module = require("chereme.datasets.exemplars", extra="train")
    from chereme.hands.detector import MediaPipeDetector

    with (
        MediaPipeDetector(still=True, max_hands=1) as detector,
        ProgressBar(EXEMPLARS, unit="photographs") as progress,
    ):
        exemplars = module.build_exemplars(
            root, detector, digits=digits, variants=variants, seed=seed, progress=progress
        )
    if rendered:
        stills = require("chereme.synthesis.stills", extra="train")
        with (
            MediaPipeDetector(still=True, max_hands=2) as detector,
            ProgressBar("rendered", unit="pictures") as progress,
        ):
            more = stills.rendered_exemplars(rendered, detector, seed=seed, progress=progress)
        exemplars = module.joined([exemplars, more])
    exemplars.save(output)
