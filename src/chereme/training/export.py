"""A checkpoint -> a bundle that the serving half runs, after comparing its networks with PyTorch's.

Each system has a module ``export`` that makes an :class:`ExportSpec` of its checkpoint. The entry
of a checkpoint names the system (``chereme.recognition.tasks``).
"""

from __future__ import annotations

import inspect
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme._imports import find
from chereme.errors import BundleError, UsageError
from chereme.metrics import edit_counts, pool
from chereme.nn.checkpoint_files import load_tensors
from chereme.recognition.bundle import MODEL_CARD, Bundle, write_bundle
from chereme.recognition.config import SCHEMA_VERSION, Ports, parse_config
from chereme.recognition.tasks import TASKS
from chereme.training.compression import half_weights

TOLERANCE = 1e-3  # of log-probabilities: what the exported networks may differ from PyTorch's


class Outputs(NamedTuple):
    """What a bundle makes of an example: ``numbers``, log-probabilities or what decoders read, and
    the ``symbols`` that are read, letters or glosses."""

    numbers: Sequence[NDArray[np.floating[Any]]]
    symbols: Sequence[Hashable]


class Traced(NamedTuple):
    """A network and the inputs that it is traced with; both are in the order of the config's
    ``networks``."""

    module: nn.Module
    example: tuple[Tensor, ...]


@dataclass(frozen=True)
class ExportSpec:
    """What is exported of a checkpoint, and how it is compared.

    The config: ``known`` are the keys that the checkpoint knows, before any description;
    ``defaults`` those that a description may replace; ``finish_config`` changes the result.

    The files: ``networks`` by name, and other ``files``. ``int8``: how networks are quantised, by
    name; ``half``: the names of those whose weights can be stored in half precision.

    The comparison: ``run`` gives the outputs of a bundle for one of the ``examples``, which are
    ``compared_on`` in words. ``reference`` gives those of the model as it was trained; None:
    ``run`` on the modules of ``networks``. Numbers may differ by ``tolerance``.
    """

    known: Mapping[str, Any]
    networks: Mapping[str, Traced]
    examples: Sequence[Any]
    run: Callable[[Bundle[Any], Any], Outputs]
    reference: Callable[[Any], Outputs] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    finish_config: Callable[[Any], Any] = lambda config: config
    compared_on: str = "random clips"
    tolerance: float = TOLERANCE
    int8: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    half: Sequence[str] = ()
    files: Mapping[str, Path | bytes] = field(default_factory=dict)

    def config(self, name: str, description: str | Path | Mapping[str, Any] | None = None) -> Any:
        """The config of the bundle ``name``; BundleError for a wrong description."""
        described: dict[str, Any] = {
            "name": name,
            "licence": {"code": "MIT", "weights": "not stated", "data": "not stated"},
            "training_data": [],
            "metrics": [],
            **self.defaults,
        }
        where = str(description) if isinstance(description, str | Path) else "description"
        try:
            read: Any = description or {}
            if isinstance(description, str | Path):
                read = json.loads(Path(description).read_text(encoding="utf-8"))
            described |= read
        except (ValueError, TypeError) as error:
            raise BundleError(f"{where}: expected a JSON object ({error})") from error
        whole = _merged(described, {**self.known, "schema_version": SCHEMA_VERSION})
        return self.finish_config(parse_config(whole, where))

    def onnx(self, config: Any = None) -> dict[str, bytes]:
        """The networks as ONNX, by file."""
        ports = (config or self.config("model")).networks()
        return {file: to_onnx(*traced, ports[file]) for file, traced in self.networks.items()}

    def runner(self, config: Any, networks: Mapping[str, Any]) -> Callable[[Any], Outputs]:
        """`run` on networks by file: modules, or ONNX."""
        ports = config.networks()
        opened: dict[str, Any] = {
            Path(file).stem: onnx_session(network)
            if isinstance(network, bytes)
            else TorchSession(network, ports[file])
            for file, network in networks.items()
        }
        bundle: Bundle[Any] = Bundle(Path(config.name), config, "", **opened)
        return lambda example: self.run(bundle, example)


def export(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    description: str | Path | Mapping[str, Any] | None = None,
    model_card: str | Path | None = None,
    int8: bool = False,
    half: bool = False,
    **options: Any,
) -> Bundle[Any]:
    """Write the bundle of a checkpoint, after comparing its networks with PyTorch's, and load it.

    Args:
        checkpoint: written by ``chereme train``.
        folder: of the bundle; an older bundle there is replaced.
        description: what training cannot know, as a mapping or a JSON file: name, licence,
            training_data, metrics, and settings of the task (``chereme.recognition.config``).
        model_card: Markdown that goes along; None: one is written from the config.
        int8: quantise the largest network.
        half: store weights in half precision.
        options: of the system's own function (see ``chereme.recognition.tasks``), such as the
            ``crops``, ``lm`` and ``lexicon`` of letters.

    Raises:
        BundleError: another checkpoint or description, or the networks give other log-probabilities
            than PyTorch's, or read other symbols; what int8 and half precision change is stated in
            the metrics and refused in no case.
        UsageError: an option that this checkpoint does not have.
    """
    spec = find_spec(checkpoint, **options)
    for option, wanted, possible in (("int8", int8, spec.int8), ("half", half, spec.half)):
        if wanted and not possible:
            raise UsageError(f"{option}: {checkpoint} has no network for it; leave it out")
    config = spec.config(Path(folder).resolve().name, description)
    files = spec.onnx(config)
    modules = {file: traced.module for file, traced in spec.networks.items()}
    converted = spec.runner(config, files)
    exact = compare(spec.reference or spec.runner(config, modules), converted, spec.examples)
    if not exact.difference <= spec.tolerance or exact.changed:
        raise BundleError(
            f"{checkpoint}: the exported networks give other log-probabilities than PyTorch's, by "
            f"up to {exact.difference:.3g}, and read {exact.changed} of {exact.symbols} symbols "
            "otherwise; this should not happen, please report it"
        )
    metrics = [exact.as_metric("ONNX Runtime against PyTorch", spec.compared_on)]
    stored = dict(files)
    if int8:
        stored |= {file: quantise(files[file]) for file, quantise in spec.int8.items()}
    if half:
        stored |= {file: half_weights(stored[file]) for file in spec.half}
    if int8 or half:
        how = " and ".join([*["int8"] * int8, *["half-precision weights"] * half])
        changed = compare(converted, spec.runner(config, stored), spec.examples)
        metrics.append(changed.as_metric(f"{how} against float32", spec.compared_on))
    config = replace(config, metrics=(*config.metrics, *metrics))
    card = {} if model_card is None else {MODEL_CARD: Path(model_card)}
    return write_bundle(folder, config, {**stored, **spec.files, **card})


def find_spec(checkpoint: str | Path, **options: Any) -> ExportSpec:
    """What is to be exported of a checkpoint, by the system that its entry names.

    Raises BundleError for a file of no system, UsageError for an option that the system lacks.
    """
    found = load_tensors(checkpoint, mmap=zipfile.is_zipfile(checkpoint))
    places = {entry: place for task in TASKS.values() for entry, place in task.exports.items()}
    entry = next((e for e in places if isinstance(found, Mapping) and e in found), None)
    if entry is None:
        raise BundleError(
            f"{checkpoint}: expected the checkpoint of a recogniser, with one of the entries "
            f"{', '.join(map(repr, places))}, as 'chereme train' writes, got something else"
        )
    load = find(places[entry])
    taken = list(inspect.signature(load).parameters)[1:]
    if wrong := [name for name in options if name not in taken]:
        raise UsageError(
            f"{wrong[0]}: the checkpoint {checkpoint} ({entry!r}) has no such option; expected "
            f"{', '.join(taken) or 'none'}: leave it out"
        )
    spec: ExportSpec = load(checkpoint, **options)
    return spec


def _merged(described: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """``known`` before ``described``, key by key of objects in them as well."""
    merged = dict(described)
    for key, value in known.items():
        other = described.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            merged[key] = _merged(other, value)
        elif not isinstance(value, Mapping) or other is None:
            merged[key] = value  # else it stays, and is refused when the config is parsed
    return merged


# -- what the systems of isolated signs share ------------------------------------------------------
def known_of_glosses(about: Mapping[str, Any]) -> dict[str, Any]:
    """Of the config of a recogniser of isolated signs, what its checkpoint tells of its clips."""
    return {
        "task": "isolated",
        "classes": list(about["classes"]),
        "preprocessing": {name: about[name] for name in ("rate", "frames", "sampling")},
        "abstention": {"other": bool(about.get("other", False))},
    }


def best_glosses(log_probs: NDArray[np.floating[Any]]) -> Outputs:
    """Log-probabilities ``(B, K)``, and the place of the best gloss of each clip."""
    return Outputs([log_probs], log_probs.argmax(-1).tolist())


# -- networks --------------------------------------------------------------------------------------
def to_onnx(module: nn.Module, example: tuple[Tensor, ...], ports: Ports) -> bytes:
    """``module`` as an ONNX file, traced with the inputs ``example``.

    Choice: PyTorch's exporter by tracing (``dynamo=False``). The one by ``torch.export`` fixes the
    number of time steps of a GRU and of max pooling at that of the example (seen with 2.13).
    """
    buffer = io.BytesIO()
    free = {
        name: {axis: size for axis, size in enumerate(sizes) if isinstance(size, str)}
        for name, (_, sizes) in {**ports.inputs, **ports.outputs}.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # It warns that checks of an input's shape are traced as passed, and of a first axis of a
        # GRU other than 1, which is the batch of its usual layout; here that is free.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size")
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            module.eval(),
            example,
            buffer,  # type: ignore[arg-type]  # a file object is as good as a path
            input_names=list(ports.inputs),
            output_names=list(ports.outputs),
            dynamic_axes={name: axes for name, axes in free.items() if axes},
            dynamo=False,
            opset_version=17,
        )
    return buffer.getvalue()


def onnx_session(network: bytes) -> Any:
    """A network in ONNX Runtime, on the CPU."""
    return onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])


class TorchSession:
    """A module that is run as a network of ONNX Runtime."""

    def __init__(self, module: nn.Module, ports: Ports) -> None:
        self.module, self.ports = module.eval(), ports

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> list[Any]:
        """The outputs ``names``; None: all."""
        inputs = [torch.from_numpy(np.asarray(feed[name])) for name in self.ports.inputs]
        with torch.no_grad():
            outputs = self.module(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        named = dict(zip(self.ports.outputs, outputs, strict=True))
        return [named[name].numpy() for name in names or named]


# -- whether two forms of the networks read the same -----------------------------------------------
@dataclass(frozen=True, slots=True)
class Comparison:
    """What one form of the networks reads against another.

    ``difference``: the largest of any number; ``symbols`` that the first reads, ``changed``: edits
    from these to what the other reads.
    """

    examples: int
    difference: float
    symbols: int
    changed: int

    def as_metric(self, what: str, compared_on: str) -> dict[str, Any]:
        """An entry of a bundle's metrics."""
        return {
            "test_set": f"{what}: {self.examples} {compared_on}",
            "symbols": self.symbols,
            "symbols_changed": self.changed,
            "log_probability_difference": round(self.difference, 7),
        }


def compare(
    reference: Callable[[Any], Outputs], other: Callable[[Any], Outputs], examples: Sequence[Any]
) -> Comparison:
    """Run both on every example."""
    differences, counts = [0.0], []
    for example in examples:
        first, second = reference(example), other(example)
        # One that read NaN read no further.
        pairs = zip(first.numbers, second.numbers, strict=False)
        differences += [float(np.abs(a - b).max()) for a, b in pairs]
        counts.append(edit_counts(first.symbols, second.symbols, "unit"))
    total = pool(counts)
    # Of NaN NumPy's maximum is NaN.
    return Comparison(
        len(examples), float(np.max(differences)), total.reference_length, total.edits
    )
