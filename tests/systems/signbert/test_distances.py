"""Distances from classes, beside the same worked out one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chereme.systems.signbert.distances import FARTHEST, WEIGHT, ClassDistances


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(40) % 4
    features = 3 * torch.randn(4, 6, generator=generator)[classes]
    return features + torch.randn(40, 6, generator=generator), classes


def test_the_distance_is_mahalanobis_to_the_nearest_mean(clips) -> None:
    features, classes = clips
    values, of = features.double().numpy(), classes.numpy()
    means = np.stack([values[of == number].mean(0) for number in range(4)])
    covariance = (values - means[of]).T @ (values - means[of]) / len(values)
    covariance += 0.1 * np.trace(covariance) / 6 * np.eye(6)
    inverse = np.linalg.inv(covariance)
    asked = np.random.default_rng(1).normal(0, 4, (9, 6))
    expected = [min((one - m) @ inverse @ (one - m) for m in means) for one in asked]
    found = ClassDistances.fit(features, classes)(torch.from_numpy(asked).float())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


def test_the_distance_goes_into_the_last_logit_alone(clips) -> None:
    features, classes = clips
    distances = ClassDistances.fit(features, classes)
    far = distances(features)
    distances.scale = far.mean()
    logits = torch.zeros(40, 5)
    widened = distances.widen(logits, features)
    assert torch.equal(widened[:, :4], logits[:, :4])
    torch.testing.assert_close(widened[:, 4], WEIGHT * (far / far.mean() - 1))


def test_far_is_no_farther_than_can_be(clips) -> None:
    distances = ClassDistances.fit(*clips)
    widened = distances.widen(torch.zeros(1, 5), torch.full((1, 6), 1e4))
    assert widened[0, 4] == WEIGHT * (FARTHEST - 1)


def test_one_clip_of_each_class_has_no_spread(clips) -> None:
    features, _ = clips
    distances = ClassDistances.fit(features[:3], torch.arange(3))
    found = distances(features[:3] + 1.0)
    assert torch.isfinite(found).all()
    assert (distances(features[:3]) < 1e-3 * found).all()
