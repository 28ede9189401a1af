"""The parametric hand: MANO where the user has it, the open hand that comes with chereme where not.

Template -> layer -> vertices and joints; see ``HandTemplate`` for the frame, units and joint order.
"""

from chereme.hand_model.layer import HandLayer, HandOutput
from chereme.hand_model.template import HandTemplate

__all__ = ["HandLayer", "HandOutput", "HandTemplate"]
