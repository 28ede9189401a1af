"""``chereme prepare``: what training reads, from collections of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli.console import ProgressBar, say
from chereme.errors import UsageError


class Dataset(StrEnum):
    """What can be prepared."""

    exemplars = "exemplars"
    chicagofswild = "chicagofswild"
    chicagofswildplus = "chicagofswildplus"
    greek = "greek"
    folder = "folder"
    rendered = "rendered"
    photographs = "photographs"


MADE = (Dataset.rendered, Dataset.photographs)


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
        Dataset,
        typer.Argument(
            metavar="DATASET",
            help="chicagofswild, chicagofswildplus, greek, or folder (a manifest: recordings of "
            "your own, or of chereme synthesize). rendered: clips of made-up signers; photographs: "
            "clips made of photographs of letters. exemplars: handshapes of letters, from "
            "photographs.",
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
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pixels of a side of the crops.", show_default="256", min=8),
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
        typer.Option(metavar="N", help="Of rendered and photographs: clips to make.", min=1),
    ] = None,
    signers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of rendered.", show_default="a 10th of the clips"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R", help="Of rendered and photographs: frames a second.", show_default="20"
        ),
    ] = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNER", help="Of photographs: hand1 to hand5, wild, manual; not to train on."
        ),
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(metavar="SIGNER", help="Of photographs: likewise.")
    ] = None,
    variants: Annotated[
        int, typer.Option(metavar="N", help="Of exemplars: times that each photograph is seen.")
    ] = 6,
    rendered: Annotated[
        int,
        typer.Option(metavar="N", help="Of exemplars: made-up signers to add, two views a letter."),
    ] = 0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of what is made: the same seed gives the same files.")
    ] = 0,
) -> None:
    """Prepare DATASET for training: crops of the signing hand, its landmarks, and what teachers
    say of them, in WebDataset tars.

    A run that was stopped goes on where it was. What became of each clip is in status.csv.
    """
    of_files = {"--fold": fold, "--retry": retry}
    of_crops = {
        "--teacher": teacher,
        "--checkpoint": checkpoint,
        "--vectors": vectors,
        "--size": size,
    }
    of_made = {"--clips": clips, "--rate": rate}
    of_one: dict[str, object] = {}
    if dataset is not Dataset.rendered:
        of_one["--signers"] = signers
    if dataset is not Dataset.photographs:
        of_one |= {"--dev": dev, "--test": test}
    if dataset is Dataset.exemplars:
        _refuse(dataset, {**of_files, **of_crops, **of_made, **of_one})
        _prepare_exemplars(_needed(root, dataset), output, variants, rendered, seed)
        return
    module = require("chereme.training.prepare", extra="train")
    files = module.TeacherFiles(checkpoint, tuple(vectors or ()))
    teachers = module.open_teachers([name.value for name in teacher or ()], files)
    if dataset in MADE:
        _refuse(dataset, {**of_files, **of_one})
        settings = module.crop_settings(size)
        made = require("chereme.training.made_clips", extra="train")
        if clips is None:
            raise UsageError(f"{dataset}: expected --clips N, which says how many to make")
        if dataset is Dataset.rendered:
            _refuse(dataset, {"--root": root})
            maker = made.RenderedClips(clips, signers, seed, rate or made.RATE, settings)
        else:
            folder, kept = _needed(root, dataset), (tuple(dev or ()), tuple(test or ()))
            maker = made.PhotographClips(folder, clips, seed, rate or made.RATE, settings, *kept)
        with ProgressBar(dataset, unit="clips") as progress:
            count = made.write_clips(maker, output, teachers, workers=workers, progress=progress)
        say(f"{output}: {count:,} clips")
        return
    _refuse(dataset, {**of_made, **of_one})
    root = _needed(root, dataset)
    corpus = module.open_corpus(dataset.value, root, fold=fold)
    with ProgressBar(corpus.name, unit="clips") as progress:
        result = module.prepare(
            corpus,
            output,
            teachers,
            size=size,
            workers=workers,
            engine=engine.value,
            retry=retry,
            progress=progress,
        )
    for line in result.report().splitlines():
        say(line)
    say(f"{output}: written")


def _needed(root: Path | None, dataset: Dataset) -> Path:
    if root is None:
        raise UsageError(f"{dataset}: expected --root DIR, the folder of the data")
    return root


def _refuse(dataset: Dataset, options: Mapping[str, object]) -> None:
    """UsageError if one of ``options``, which are for others, was given."""
    if given := [option for option, value in options.items() if value]:
        raise UsageError(f"{dataset}: {', '.join(given)} is for other data sets")


def _prepare_exemplars(root: Path, output: Path, variants: int, rendered: int, seed: int) -> None:
    module = require("chereme.data.exemplars", extra="train")
    from chereme.hands.detector import MediaPipeDetector

    with (
        MediaPipeDetector(still=True, max_hands=1) as detector,
        ProgressBar(Dataset.exemplars.value, unit="photographs") as progress,
    ):
        exemplars = module.build_exemplars(
            root, detector, variants=variants, seed=seed, progress=progress
        )
    if rendered:
        stills = require("chereme.synthesis.stills", extra="train")
        with (
            MediaPipeDetector(still=True, max_hands=2) as detector,
            ProgressBar("rendered", unit="pictures") as progress,
        ):
            more = stills.rendered_exemplars(rendered, detector, seed=seed, progress=progress)
        exemplars = module.joined([exemplars, more])
    output.parent.mkdir(parents=True, exist_ok=True)
    exemplars.save(output)
    say(f"{output}: written")
