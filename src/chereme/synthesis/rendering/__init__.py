"""A software renderer: meshes to small photographic pictures, fast, on a CPU.

Part of the research half (extra ``train``): numba compiles it, and torch is not needed. ``render``
makes linear light, with its ground truth; ``tone_map`` makes of that the picture of a camera.
"""

from chereme._imports import require

require("numba", extra="train")

from chereme.synthesis.rendering.arm import Arm, ArmShape  # noqa: E402
from chereme.synthesis.rendering.background import PictureFolder, clutter  # noqa: E402
from chereme.synthesis.rendering.film import Film, tone_map  # noqa: E402
from chereme.synthesis.rendering.light import Light, Lighting  # noqa: E402
from chereme.synthesis.rendering.mesh import CLOTH, HAIR, PLAIN, SKIN, Material, Mesh  # noqa: E402
from chereme.synthesis.rendering.people import Person, cloth_colour  # noqa: E402
from chereme.synthesis.rendering.renderer import Frame, Quality, render, render_moving  # noqa: E402
from chereme.synthesis.rendering.skin import SkinTone  # noqa: E402
from chereme.synthesis.rendering.subdivision import Subdivision  # noqa: E402

__all__ = [
    "CLOTH",
    "HAIR",
    "PLAIN",
    "SKIN",
    "Arm",
    "ArmShape",
    "Film",
    "Frame",
    "Light",
    "Lighting",
    "Material",
    "Mesh",
    "Person",
    "PictureFolder",
    "Quality",
    "SkinTone",
    "Subdivision",
    "cloth_colour",
    "clutter",
    "render",
    "render_moving",
    "tone_map",
]
