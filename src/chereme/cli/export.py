"""``chereme export``: a checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chereme._imports import require
from chereme._installation import find_recipe
from chereme.cli import options
from chereme.cli.console import say
from chereme.errors import UsageError


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="The checkpoint of a trained recogniser.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the new bundle.")
    ],
    lm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="lm.onnx of a trained letter language model."),
    ] = None,
    description: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON: name, licence, training data, metrics."),
    ] = None,
    model_card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model card, Markdown.")
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Crops of hands, to compare the networks on: a folder of shards or of pictures, "
            "or an .npy.",
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Quantise the encoder of an RGB model of letters (wants --crops), or the largest "
            "network of a model of continuous signing.",
        ),
    ] = False,
    half: Annotated[
        bool,
        typer.Option(
            "--half",
            help="Store weights in half precision: of letters those of the sequence network, of "
            "continuous signing all.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a bundle (ONNX networks, config, hashes) that chereme recognize --model reads.

    The checkpoint is one of a recogniser of letters, of isolated signs, or of continuous signing.
    The networks are compared with the checkpoint's own; what --int8 and --half change is told, and
    stands in the bundle's metrics.
    """
    from chereme.formats.outputs import check_output_folder
    from chereme.recognition.bundle import read_config

    require("torch", extra="train")
    isolated = require("chereme.training.export_isolated", extra="train")
    continuous = require("chereme.systems.signx.export", extra="train")
    description = description and Path(find_recipe(str(description)))
    model_card = model_card and Path(find_recipe(str(model_card)))
    of_letters = {"--lm": lm, "--crops": crops}
    reads_signing = continuous.kind_of(checkpoint) is not None
    reads_signs = not reads_signing and isolated.kind_of(checkpoint) is not None
    if reads_signing:
        _refuse(of_letters, f"{checkpoint} reads continuous signing")
    elif reads_signs:
        further = {"--int8": int8, "--half": half}
        _refuse(of_letters | further, f"{checkpoint} recognises isolated signs")
    check_output_folder(output, overwrite=overwrite)
    described: dict[str, Any] = {"description": description, "model_card": model_card}
    if reads_signing:
        continuous.export_continuous(checkpoint, output, int8=int8, half=half, **described)
    elif reads_signs:
        isolated.export_isolated(checkpoint, output, **described)
    else:
        export_letters = require("chereme.systems.fingerspelling.export", extra="train").export
        export_letters(checkpoint, output, lm=lm, crops=crops, int8=int8, half=half, **described)
    config, sha256 = read_config(output)
    for metric in config.metrics:
        if "letters_changed" in metric:
            say(
                f"{metric['test_set']}: {metric['letters_changed']} of {metric['letters']} "
                f"letters changed, log-probabilities by up to "
                f"{metric['log_probability_difference']:g}"
            )
        if "readings_changed" in metric:
            say(
                f"{metric['test_set']}: {metric['readings_changed']} changed, log-probabilities by "
                f"up to {metric['log_probability_difference']:g}"
            )
    say(f"{output}: {config.name}, sha256 {sha256}")


def _refuse(of_letters: dict[str, Any], but: str) -> None:
    """UsageError for an option that the checkpoint is not for."""
    if wrong := [name for name, given in of_letters.items() if given]:
        raise UsageError(f"{wrong[0]} is of models that read letters, but {but}; leave it out")
