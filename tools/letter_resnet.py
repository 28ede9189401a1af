"""First weights of the ResNet for the rows of Table 2, where ImageNet's cannot be had.

    python tools/letter_resnet.py --shards '[runs/people/photographs, runs/people/rendered]' \\
        --output resnet.safetensors

The paper starts each row from ImageNet's weights. From random ones CTC reads nothing for longer
than any budget here, whatever the row. So the ResNet of a recipe first learns to tell letters
apart, in single frames of the clips of one letter, with no teacher and no sequence network, and
``run.py fingerspelling people`` starts each row that has a ResNet from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from jsonargparse import auto_cli
from safetensors.torch import save_file
from torch import Tensor, nn

from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.nn.resnet_weights import torchvision_name
from chereme.systems.fingerspelling.batches import ClipTransform, Inputs
from chereme.systems.fingerspelling.data import ShardData
from chereme.text import ASL_LETTERS
from chereme.training.augmentation import Augmentation


def frames(
    folders: Sequence[str], size: int, looks: int, seed: int, fraction: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Crops ``(N, 3, S, S)`` uint8 of the training clips of one letter, and the letters ``(N,)``.

    ``fraction``: of the training clips, as of `ShardData`. ``looks``: how often each clip is taken,
    each time changed at random; 0: once, as it is.
    """
    transform = ClipTransform(Inputs(size, None, 1, len(ASL_LETTERS)), ASL_LETTERS)
    rng = np.random.default_rng(seed)
    crops, letters = [], []
    data = ShardData(list(folders), fraction=fraction)
    data.list_clips(("train",))
    for folder, number in data.clips["train"]:
        sample = data.corpora[folder].read(number, ())[0]
        text = transform.text(sample)
        for _ in range(max(1, looks) if len(text) == 1 else 0):
            changed = (Augmentation(), rng) if looks else ()
            clip = transform.make(sample, *changed)
            assert clip.crops is not None
            crops.append(clip.crops[clip.present])
            letters += [ASL_LETTERS.encode(text)[0]] * len(crops[-1])
    pictures = torch.from_numpy(np.concatenate(crops)).permute(0, 3, 1, 2).contiguous()
    return pictures, torch.tensor(letters)


def recipe_resnet(recipe: str) -> ResNetEncoderConfig:
    """The sizes of the ResNet that a recipe trains."""
    text = Path(f"configs/fingerspelling/recipes/{recipe}.yaml").read_text(encoding="utf-8")
    return ResNetEncoderConfig(**yaml.safe_load(text)["model"]["init_args"]["config"]["rgb"])


def main(
    shards: list[str],
    output: Path,
    recipe: str = "tiny",
    steps: int = 1500,
    batch_size: int = 64,
    seed: int = 0,
    fraction: float = 1.0,
) -> None:
    torch.manual_seed(seed)
    encoder = ResNetEncoder(recipe_resnet(recipe))
    size = encoder.config.image_size
    network = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, len(ASL_LETTERS)))
    network.to(memory_format=torch.channels_last)
    crops, letters = frames(shards, size, 6, seed, fraction)
    print(f"{len(letters)} frames to train on", flush=True)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    drawn = torch.Generator().manual_seed(seed)
    for step in range(steps):
        some = torch.randint(len(letters), (batch_size,), generator=drawn)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(network(crops[some].float() / 255), letters[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            print(f"step {step + 1}: loss {loss.item():.2f}", flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    weights = {torchvision_name(k): v.contiguous() for k, v in encoder.resnet.state_dict().items()}
    save_file(weights, output)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
