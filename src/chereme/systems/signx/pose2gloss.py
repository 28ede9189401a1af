"""Stage I, Pose2Gloss: pose tracks -> latent sequence -> glosses (sections 3.2 and 4.1).

Shapes: B clips, T frames, L glosses, V ids, D = width of the latent. A batch is ``tracks``,
``(B, T, W)`` by name, ``present``, ``(B, T)`` bool by name, and ``lengths (B,)`` in frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme.decoding.generation import PAPER_GENERATION, Generated, GenerationConfig, generate
from chereme.errors import InputError, UsageError
from chereme.nn.frame_norm import zero_padding
from chereme.nn.masking import length_mask
from chereme.systems.signx.context import Context, ContextConfig
from chereme.systems.signx.decoder import (
    CtcHead,
    DecoderConfig,
    TextDecoder,
    answers,
    check_glosses,
    mixed_inputs,
)
from chereme.systems.signx.diffusion import DiffusionConfig, InverseDiffusion, Noised
from chereme.systems.signx.losses import (
    Coefficients,
    LossConfig,
    Pose2GlossLosses,
    l_contrast,
    l_ctc,
    l_ngram,
    l_noise,
    l_text,
    l_time,
    l_word,
    weights_at,
)
from chereme.systems.signx.tracks import DimensionMatch, PoseEncoder, TracksConfig, check_tracks
from chereme.text.glosses import EOS, PAD

Tracks = Mapping[str, Tensor]


@dataclass(frozen=True)
class Pose2GlossConfig:
    """A recogniser. ``ctc``: whether it has a CTC head too; ``embedding``: width of the vectors
    that Eq. 11 compares."""

    tracks: TracksConfig = field(default_factory=TracksConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    ctc: bool = False
    embedding: int = 256

    @property
    def readers(self) -> tuple[Literal["decoder", "ctc"], ...]:
        """What is trained to read, by the weights of the losses; what is not says anything."""
        loss = self.loss
        trained: list[Literal["decoder", "ctc"]] = []
        if loss.text_weight or loss.word_weight or loss.ngram_weight:
            trained.append("decoder")
        if loss.ctc_weight:
            trained.append("ctc")
        return tuple(trained)


class Pose2GlossOutput(NamedTuple):
    """What the losses compare.

    ``logits (B, L + 1, V)`` for ``answers (B, L + 1)``; ``noised``: None without diffusion;
    ``ctc (B, T, V)``: None without the head; ``pose``, ``text (B, embedding)``.
    """

    logits: Tensor
    answers: Tensor
    mask: Tensor
    noised: Noised | None
    ctc: Tensor | None
    pose: Tensor
    text: Tensor


class Pose2Gloss(nn.Module):
    """Pose tracks -> glosses."""

    def __init__(self, config: Pose2GlossConfig = Pose2GlossConfig()) -> None:
        super().__init__()
        if config.loss.ctc_weight and not config.ctc:
            raise UsageError("ctc_weight: expected 0 for a model without a CTC head (ctc: false)")
        self.config = config
        latent = config.tracks.latent
        self.pose_encoder = PoseEncoder(config.tracks)
        self.context = Context(config.context, config.tracks.hidden)
        self.match = DimensionMatch(config.tracks)
        self.diffusion = (
            InverseDiffusion(config.diffusion, latent) if config.diffusion.enabled else None
        )
        self.decoder = TextDecoder(config.decoder, latent)
        self.ctc = (
            CtcHead(config.decoder.vocabulary, latent, config.decoder.dropout)
            if config.ctc
            else None
        )
        self.pose_embedding = nn.Linear(latent, config.embedding)
        self.text_embedding = nn.Linear(config.decoder.dim, config.embedding)
        learnt = tuple(name for name, weight in weights_at(config.loss, 0.0).items() if weight)
        if not config.diffusion.enabled:
            learnt = tuple(name for name in learnt if name != "l_noise")
        self.coefficients = Coefficients(learnt) if config.loss.learnable else None

    def encode(
        self, tracks: Tracks, present: Tracks, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``z_0 (B, T, D)``, zero outside the clips, and ``mask (B, T)`` (Eq. 1 to 3).

        Without ``lengths`` all clips fill the whole time axis.

        Raises:
            InputError: see `tracks.check_tracks`.
        """
        clips, frames = check_tracks(tracks, present, self.config.tracks.widths)
        device = next(iter(tracks.values())).device
        if lengths is None:
            mask = torch.ones(clips, frames, dtype=torch.bool, device=device)
        elif tuple(lengths.shape) != (clips,):
            raise InputError(f"lengths: expected ({clips},), got {tuple(lengths.shape)}")
        else:
            mask = length_mask(lengths, frames)
        fused = self.context(self.pose_encoder(tracks, present, mask), mask)
        return zero_padding(self.match(fused), mask), mask

    def latent(
        self,
        tracks: Tracks,
        present: Tracks,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What decoder and CTC head read, ``(B, T, D)`` and ``mask (B, T)``: z_0 after inverse
        diffusion, where that is on."""
        z_0, mask = self.encode(tracks, present, lengths)
        return z_0 if self.diffusion is None else self.diffusion(z_0, mask, generator), mask

    def forward(
        self,
        tracks: Tracks,
        present: Tracks,
        lengths: Tensor,
        glosses: Tensor,
        *,
        teacher_forcing: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Pose2GlossOutput:
        """What the losses compare, for sentences ``glosses (B, L)`` without marks, padded.

        ``generator`` draws levels, noise and teacher forcing (None: torch's own).

        Raises:
            InputError: tracks, lengths or glosses that do not fit.
        """
        check_glosses(glosses, self.config.decoder)
        z_0, mask = self.encode(tracks, present, lengths)
        noised, latent = None, z_0
        if self.diffusion is not None:
            noised = self.diffusion.noised(z_0, mask, generator)
            latent = self.diffusion(z_0, mask, generator)
        memory = self.decoder.read(latent)
        at_once = self.config.loss.fed_at_once
        inputs = mixed_inputs(
            self.decoder, glosses, memory, mask, teacher_forcing, generator, at_once=at_once
        )
        said = (glosses != PAD).unsqueeze(-1)
        text = self.decoder.codebook(glosses).where(said, 0.0).sum(1) / said.sum(1).clamp_min(1)
        pose = latent.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        return Pose2GlossOutput(
            self.decoder(inputs, memory, mask),
            answers(glosses),
            mask,
            noised,
            None if self.ctc is None else self.ctc(latent),
            self.pose_embedding(pose),
            self.text_embedding(text),
        )

    def losses(
        self, output: Pose2GlossOutput, progress: float, shown: Tensor | None = None
    ) -> Pose2GlossLosses:
        """The losses and their total (Eq. 12), weighted as when ``progress`` of the training, 0 to
        1, is done. ``shown (B, T)``: see `l_time`."""
        config, weights = self.config.loss, weights_at(self.config.loss, progress)
        logits, wanted, zero = output.logits, output.answers, output.logits.new_zeros(())
        found = dict.fromkeys(weights, zero)
        if output.noised is not None:
            found["l_noise"] = l_noise(*output.noised, output.mask)
        if config.text_weight:
            found["l_text"] = l_text(logits, wanted, config.label_smoothing)
        if config.word_weight:
            codebook = self.decoder.codebook.weight
            found["l_word"] = l_word(logits, wanted, codebook, config.word_of)
        if config.contrast_weight:
            found["l_contrast"] = l_contrast(
                output.pose,
                output.text,
                (wanted.unsqueeze(0) == wanted.unsqueeze(1)).all(-1),
                config.temperature,
                both_ways=config.both_ways,
            )
        if config.ngram_weight:
            found["l_ngram"] = l_ngram(logits, wanted, config.ngrams)
        if config.ctc_weight and output.ctc is not None:
            glosses = wanted[:, :-1].masked_fill(wanted[:, :-1] == EOS, PAD)
            found["l_ctc"] = l_ctc(output.ctc, output.mask.sum(1), glosses)
            if config.time_weight and shown is not None:
                found["l_time"] = l_time(output.ctc, glosses, shown)
        if self.coefficients is not None:
            total = self.coefficients(found, weights)
        else:
            total = torch.stack([weights[name] * loss for name, loss in found.items()]).sum()
        return Pose2GlossLosses(total, **found)

    def teacher_forcing(self, progress: float) -> float:
        """The ratio when ``progress`` of the training, 0 to 1, is done (Table 2)."""
        return self.config.loss.teacher_forcing.at(progress)

    @torch.no_grad()
    def ctc_log_probs(
        self, tracks: Tracks, present: Tracks, lengths: Tensor | None = None
    ) -> Tensor:
        """``(B, T, V)`` of the CTC head, blank 0, for ``chereme.decoding``.

        Raises:
            InputError: tracks or lengths that do not fit.
            UsageError: a model without the head.
        """
        if self.ctc is None:
            raise UsageError("ctc: this model has no CTC head; train one with ctc: true")
        logits: Tensor = self.ctc(self.latent(tracks, present, lengths)[0])
        return logits.log_softmax(-1)

    @torch.no_grad()
    def generate(
        self,
        tracks: Tracks,
        present: Tracks,
        lengths: Tensor | None = None,
        config: GenerationConfig = PAPER_GENERATION,
        generator: torch.Generator | None = None,
    ) -> Generated:
        """Glosses of each clip, best hypothesis first.

        Raises:
            InputError: tracks or lengths that do not fit.
            UsageError: values of ``config`` that mean nothing.
        """
        latent, mask = self.latent(tracks, present, lengths, generator)
        memory = self.decoder.read(latent)

        def step(ids: NDArray[np.int64]) -> NDArray[np.float32]:
            many = ids.shape[1]
            said = torch.from_numpy(ids).to(mask.device)
            last = self.decoder(
                said.flatten(0, 1),
                memory.repeat_interleave(many, 0),
                mask.repeat_interleave(many, 0),
            )[:, -1]
            logits: NDArray[np.float32] = last.unflatten(0, ids.shape[:2]).float().cpu().numpy()
            return logits

        rng = None
        if config.method == "sample" and generator is not None:
            seed = torch.randint(2**62, (), generator=generator, device=generator.device)
            rng = np.random.default_rng(int(seed))
        return generate(step, len(mask), config, rng=rng)
