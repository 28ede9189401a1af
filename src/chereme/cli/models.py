"""``chereme models``: the bundled models and the terms of their use, and bundles to a hub."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import tell
from chereme.errors import BundleError

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(invoke_without_command=True)
def models(context: typer.Context, form: options.ReportForm = options.Form.txt) -> None:
    """List the models that come with chereme, with the licence of code, weights and data."""
    if context.invoked_subcommand is not None:
        return
    from chereme.recognition.bundle import read_config
    from chereme.recognition.registry import MODELS

    rows: list[dict[str, Any]] = []
    for model in MODELS.values():
        row: dict[str, Any] = {
            "name": model.name,
            "family": model.family,
            "input": model.input,
            "task": model.task,
            "summary": model.summary,
            "folder": str(model.directory),
        }
        try:
            config, sha256 = read_config(model.directory)
            row |= {"licence": asdict(config.licence), "sha256": sha256}
            row |= {"metrics": list(config.metrics)}
        except BundleError as error:
            row |= {"licence": None, "sha256": None, "problem": str(error)}
        rows.append(row)
    if form is options.Form.json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        licence = row["licence"] or dict.fromkeys(("code", "weights", "data"), "not installed")
        typer.echo(f"{row['name']}  ({row['task']}, reads {row['input']})")
        typer.echo(f"  {row['summary']}")
        typer.echo(
            f"  licence: code {licence['code']}; weights {licence['weights']}; "
            f"data {licence['data']}"
        )
        typer.echo(f"  folder:  {row['folder']}")
        typer.echo(f"  sha256:  {row['sha256'] or 'not installed: ' + row['problem']}")


@app.command()
def push(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The bundle, as chereme export writes it.")
    ],
    address: Annotated[
        str, typer.Argument(metavar="hf://OWNER/NAME", help="The repository on the hub.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Of a new repository: only its owner sees it.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the model and the card of the repository; it keeps its earlier commits.",
        ),
    ] = False,
) -> None:
    """Upload a bundle to the Hugging Face hub, with a card, and print its address there.

    The token is taken from HF_TOKEN, or from what hf auth login has stored.
    """
    from chereme.recognition import hub
    from chereme.recognition.registry import resolve

    tell(hub.push(resolve(folder), address, overwrite=overwrite, private=private or None))
