"""Files as damage and malice leave them: drawn from good ones by a seed."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

EXTREMES = (0, 1, -1, 255, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 10**30)
TEXTS = (
    *("", " ", "\0", "nan", "inf", "-1", "1e999", "9" * 400, "9" * 5000, "x" * 10_000),
    *("../../etc/passwd", "/dev/zero", "C:\\x", "\U0001f642", "\N{RIGHT-TO-LEFT OVERRIDE}"),
    *("\x1b[31m", "<![CDATA[", "&#0;", "&x;", '"', "'", ";", "\t", ",,,,", "file:///%zz", "a\nb"),
    "[" * 3000,
)


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """Bytes that were flipped, cut, moved, repeated, or replaced by extreme numbers."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        # Beginnings hold the structure of most formats.
        place = rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))
        length = rng.randrange(1, 1 + min(len(data), rng.choice((4, 64, 4096))))
        match rng.randrange(8):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[rng.randrange(len(data)) :]
            case 2:
                del data[place : place + length]
            case 3:
                source = rng.randrange(len(data))
                data[place:place] = data[source : source + length]
            case 4:
                source = rng.randrange(len(data))
                data[place : place + length] = data[source : source + length]
            case 5:
                data[place : place + length] = rng.randbytes(length)
            case 6:
                size = rng.choice((1, 2, 4, 8))
                number = rng.choice(EXTREMES) % (1 << 8 * size)
                data[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
            case 7:
                data += data[place : place + length] * rng.choice((1, 10, 100))
    return bytes(data)


def changed_npz(raw: bytes, rng: random.Random) -> bytes:
    """Other shapes, kinds and values of the arrays, or fewer and more of them."""
    with np.load(io.BytesIO(raw)) as file:
        arrays: dict[str, Any] = dict(file)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(list(arrays))
        array = np.asarray(arrays[name])
        match rng.randrange(7):
            case 0:
                del arrays[name]
            case 1:
                kinds = ("U3", "S3") if array.dtype.kind in "SU" else ("i1", "f8", "f2", "?", "c8")
                arrays[name] = array.astype(rng.choice((*kinds, "U3")))
            case 2:
                arrays[name] = array[: rng.randrange(3)] if array.ndim else array[None]
            case 3:
                arrays[name] = rng.choice((np.zeros(0), np.zeros((2, 0, 21, 3)), np.array(-1e300)))
            case 4 if array.dtype.kind == "f":
                values = array.copy()
                count = rng.randrange(1, 50)
                bad = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0)
                values.flat[: values.size : max(1, values.size // count)] = rng.choice(bad)
                arrays[name] = values
            case 5:
                arrays["fps"] = rng.choice((0.0, 1e-9, 1000.0, 1e300, np.nan, -1.0))
                arrays.pop("timestamps", None)
            case _:
                arrays[rng.choice(("extra", "units", "handedness_score"))] = array
        if not arrays:
            break
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def changed_text(raw: bytes, rng: random.Random) -> bytes:
    """Cells and values replaced, lines and elements repeated, moved or left out."""
    text = raw.decode("utf-8")
    for _ in range(rng.choice((1, 1, 2, 4))):
        parts = re.split(r'([,"\n<>=])', text)
        place = rng.randrange(len(parts))
        match rng.randrange(4):
            case 0 | 1:
                parts[place] = rng.choice((*TEXTS, *map(str, EXTREMES)))
            case 2:
                other = rng.randrange(len(parts))
                parts[place : place + 8] = parts[other : other + 8]
            case 3:
                parts[place:place] = parts[place : place + 40] * rng.choice((2, 50))
        text = "".join(parts)
    encoding = rng.choice(("utf-8",) * 6 + ("utf-16", "utf-8-sig", "latin-1"))
    return text.encode(encoding, "replace")


def changed_json(raw: bytes, rng: random.Random) -> bytes:
    """Values of any depth replaced by others and extremes, keys renamed, left out or added."""
    data = json.loads(raw)
    for _ in range(rng.choice((1, 1, 2, 3))):
        holder: Any = data
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = rng.choice(keys)
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
                holder = inner
                continue
            match rng.randrange(5):
                case 0:
                    del holder[key]
                case 1 if isinstance(holder, dict):
                    holder[rng.choice(TEXTS)] = holder.pop(key)
                case _:
                    holder[key] = rng.choice(
                        (
                            *EXTREMES,
                            *TEXTS,
                            None,
                            True,
                            [],
                            {},
                            [[]],
                            1e308,
                            -0.5,
                            10**400,
                            [1] * 999,
                        )
                    )
            break
    return json.dumps(data).encode("utf-8", "surrogatepass")


def changed_onnx(raw: bytes, rng: random.Random) -> bytes:
    """Other operators, inputs, attributes and sizes in a network that stays well-formed."""
    model = onnx.load_from_string(raw)
    nodes, weights = model.graph.node, model.graph.initializer
    for _ in range(rng.choice((1, 1, 2, 3))):
        node = rng.choice(nodes)
        match rng.randrange(7):
            case 0:
                node.op_type = rng.choice(nodes).op_type
            case 1 if node.input:
                node.input[rng.randrange(len(node.input))] = rng.choice(
                    [*(n.output[0] for n in nodes), *(w.name for w in weights), "", "nobody"]
                )
            case 2 if node.attribute:
                attribute = rng.choice(node.attribute)
                attribute.i = rng.choice(EXTREMES[:-1]) % 2**31
                attribute.ints[:] = [rng.choice((0, -1, 1, 7, 2**31 - 1)) for _ in attribute.ints]
                attribute.f = rng.choice((0.0, 1e38, float("nan"), -1.0))
            case 3 if weights:
                weight = rng.choice(weights)
                if weight.dims:
                    weight.dims[rng.randrange(len(weight.dims))] = rng.choice((0, 1, 2**40, 7))
            case 4 if weights:
                weight = rng.choice(weights)
                weight.raw_data = damaged(weight.raw_data, rng)
            case 5:
                port = rng.choice([*model.graph.input, *model.graph.output])
                port.type.tensor_type.elem_type = rng.choice((1, 2, 6, 7, 9, 10, 11, 16))
            case _:
                port = rng.choice([*model.graph.input, *model.graph.output])
                shape = port.type.tensor_type.shape
                if shape.dim:
                    shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice(
                        (0, 1, 7, 2**40)
                    )
    return model.SerializeToString()


STRUCTURAL: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".npz": changed_npz,
    ".eaf": changed_text,
    ".csv": changed_text,
    ".json": changed_json,
    ".onnx": changed_onnx,
}


def mutated(raw: bytes, suffix: str, seed: int) -> bytes:
    """One of many files that a good one may become."""
    rng = random.Random(seed)
    change = STRUCTURAL.get(suffix)
    if change is None or rng.random() < 0.4:
        return damaged(raw, rng)
    return change(raw, rng)
