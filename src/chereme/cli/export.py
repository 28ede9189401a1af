"""``chereme export``: a checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme._installation import find_recipe
from chereme.cli import options
from chereme.cli.console import say


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="The checkpoint of a trained recogniser.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the new bundle.")
    ],
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--others",
            metavar="CHECKPOINT",
            help="Of another training of the same recogniser of letters, which reads together with "
            "it; may be given again.",
        ),
    ] = None,
    lm: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="lm.onnx of a trained letter language model; of continuous signing n-grams of "
            "glosses (ARPA), in the place of those of its training.",
        ),
    ] = None,
    lexicon: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Words that letters are likely to spell, one a line (chereme prepare lexicon).",
        ),
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
            help="Store weights in half precision: of letters those of the sequence network (and "
            "of the encoder of the stream hand), of continuous signing all.",
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

    require("torch", extra="train")
    write = require("chereme.training.export", extra="train").export
    check_output_folder(output, overwrite=overwrite)
    bundle = write(
        checkpoint,
        output,
        description=description and find_recipe(str(description)),
        model_card=model_card and find_recipe(str(model_card)),
        int8=int8,
        half=half,
        **{
            name: given
            for name, given in {
                "others": others,
                "lm": lm,
                "lexicon": lexicon,
                "crops": crops,
            }.items()
            if given
        },
    )
    for metric in bundle.config.metrics:
        if "symbols_changed" in metric:
            say(
                f"{metric['test_set']}: {metric['symbols_changed']} of {metric['symbols']} symbols "
                f"changed, log-probabilities by up to {metric['log_probability_difference']:g}"
            )
    say(f"{output}: {bundle.config.name}, sha256 {bundle.sha256}")
