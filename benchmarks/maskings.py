"""How well pre-trainings of SignBERT restore joints from every masking, whatever their own was.

    python benchmarks/maskings.py runs/signbert/here/table_4/both/seed_*

The test clips of a run, whose joints are known, are masked in 1 to M joints of all tokens, or by
some operations in half of them. Figures go to ``masks.json`` in the folder of the run, from where
``run.py signbert here --report`` takes them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.masking import OPERATIONS
from chereme.systems.signbert.recognizer import SignBertPretraining
from chereme.systems.signbert.reconstruction_scores import reconstruct, reconstruction_scores
from chereme.systems.signbert.task import load_signbert
from chereme.training.task import write_metrics


def scores(folder: Path) -> dict[str, Any]:
    """The figures of a run, by masking, as the rows of Tables 1 and 2."""
    model = load_signbert(folder / "best.ckpt").model
    assert isinstance(model, SignBertPretraining)
    config, own = model.config, model.config.masking
    rows = {
        f"M = {most}": replace(own, share=1.0, operations=("joint",), max_joints=most)
        for most in (3, 5, 7, 9, 11)
    }
    rows["joints"] = replace(own, operations=("joint", "identity"))
    rows["frames"] = replace(own, operations=("frame", "identity"))
    rows["both"] = replace(own, operations=OPERATIONS)
    about = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    dev, test = (about["data"][split] for split in ("dev", "test"))
    settings = {key: about[key] for key in ("frames", "sampling")}
    data = PoseData(about["data"]["train"], dev=dev, test=test, batch_size=64, **settings)
    data.labelled = False
    data.setup("test")
    found = {}
    for name, masking in rows.items():
        model.config = replace(config, masking=masking)
        read = [reconstruct(model, batch, i) for i, batch in enumerate(data.whole("test"))]
        found[name] = reconstruction_scores(read, data.entries("test"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    for folder in parser.parse_args().runs:
        write_metrics(folder / "masks.json", scores(folder))
        print(folder, flush=True)


if __name__ == "__main__":
    main()
