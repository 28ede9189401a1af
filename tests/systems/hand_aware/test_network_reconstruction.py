"""The meshes of a recogniser are those that it makes on its way to a class."""

from __future__ import annotations

import numpy as np
import torch

from chereme.systems.hand_aware.decoder import turn
from chereme.systems.hand_aware.network_reconstruction import NetworkReconstruction

SIZE = 32
NOTHING = np.full((20, 21, 3), np.nan)


def test_the_meshes_are_those_of_the_recogniser(tiny) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
    recognizer = tiny()
    found = NetworkReconstruction(recognizer.train())(crops, NOTHING, np.zeros((20, 21)))
    assert not recognizer.training
    assert len(found) == 20
    clip = torch.from_numpy(crops).permute(0, 3, 1, 2)[None, None].float() / 255
    with torch.no_grad():
        out = recognizer(clip.expand(1, 2, *clip.shape[2:]))
    units = out.hands.projected[0, 1].numpy()  # the crop spans -1 to 1
    np.testing.assert_allclose(found.projected, (units + 1) * SIZE / 2, atol=1e-3)
    np.testing.assert_allclose(found.joints, out.hands.turned[0, 1].numpy(), atol=1e-6)
    # The mesh lies round its joints, turned as they are.
    vertices = turn(out.hands.vertices[0, 1], out.state.rotation[0, 1]).numpy()
    np.testing.assert_allclose(found.vertices, vertices, atol=1e-6)
    tips = recognizer.decoder.layer.tips.numpy()
    np.testing.assert_allclose(
        found.outline[:, tips], found.projected[:, [4, 8, 12, 16, 20]], atol=1e-3
    )
    assert np.ptp(found.projected[:, 8], axis=0).min() > 0.1  # crops differ


def test_crops_of_another_side_are_made_to_fit(tiny) -> None:
    """The crop's pixels are those of the camera, whatever the network reads."""
    large = np.full((3, 96, 96, 3), 90, np.uint8)
    large[:, 30:60, 12:48] = 200  # edges of the small picture's pixels
    small = np.ascontiguousarray(large[:, 1::3, 1::3])
    network = NetworkReconstruction(tiny())
    one, other = (network(c, NOTHING[:3], np.zeros((3, 21))) for c in (large, small))
    np.testing.assert_allclose(one.projected, 3 * other.projected, atol=1e-3)
    np.testing.assert_allclose(one.vertices, other.vertices, atol=1e-6)
