"""A software renderer: meshes to small photographic pictures, fast, on a CPU.

Part of the research half (extra ``train``): numba compiles it, and torch is not needed. ``render``
makes linear light, with its ground truth; ``develop`` makes of that the picture of a camera.
"""

from chereme._imports import require

require("numba", extra="train")

from chereme.rendering.arm import Arm, ArmShape  # noqa: E402
from chereme.rendering.background import PictureFolder, clutter  # noqa: E402
from chereme.rendering.camera import Camera  # noqa: E402
from chereme.rendering.film import Film, develop  # noqa: E402
from chereme.rendering.light import Light, Lighting  # noqa: E402
from chereme.rendering.mesh import CLOTH, HAIR, PLAIN, SKIN, Material, Mesh  # noqa: E402
from chereme.rendering.people import Person, cloth_colour  # noqa: E402
from chereme.rendering.renderer import Frame, Quality, render, render_moving  # noqa: E402
from chereme.rendering.skin import SkinTone  # noqa: E402
from chereme.rendering.subdivision import Subdivision  # noqa: E402

__all__ = [
    "CLOTH",
    "HAIR",
    "PLAIN",
    "SKIN",
    "Arm",
    "ArmShape",
    "Camera",
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
    "develop",
    "render",
    "render_moving",
]
