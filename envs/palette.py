"""Colours of the maze and how Miniworld's light shades them.

Miniworld places its light at `light_pos + 1` with w = 0, so the light is in effect directional and every flat face has
one constant shade: `colour * (0.2 + ambient + diffuse * max(0, normal . light))`, clamped to white. Walls have two
shades, one for faces towards east and south and one for faces towards west and north.

A search chose the hallway colours (`tests/support/palette_search.py`): after the models' quantisation to five bits,
any two of them are as far apart as possible in either shade.
"""

import numpy as np
from jaxtyping import Float, UInt8

# Miniworld 2.1.0, `params.py` and `MiniWorldEnv._render_static`; the first term is OpenGL's default scene ambient.
_AMBIENT = 0.2 + 0.45
_DIFFUSE = 0.7
_LIGHT = np.array([1.0, 3.5, 1.0]) / np.linalg.norm([1.0, 3.5, 1.0])  # x east, y up, z south

NORMALS = ((1, 0, 0), (0, 0, 1), (-1, 0, 0), (0, 0, -1))
"""Normals of wall faces towards east, south, west and north, in Miniworld's coordinates: x east, y up, z south."""
WALL_LIGHT: Float[np.ndarray, "4"] = _AMBIENT + _DIFFUSE * np.maximum(np.array(NORMALS) @ _LIGHT, 0)
"""Brightness of wall faces towards east, south, west and north."""
FLOOR_LIGHT = float(_AMBIENT + _DIFFUSE * _LIGHT[1])
CEILING_LIGHT = _AMBIENT

GREY: UInt8[np.ndarray, "3"] = np.array([144, 144, 144], np.uint8)
"""Colour of junctions on the map and of their walls."""
FLOOR: UInt8[np.ndarray, "3"] = np.array([40, 40, 40], np.uint8)
CEILING: UInt8[np.ndarray, "3"] = np.array([255, 255, 255], np.uint8)

# fmt: off
_HEX = """
ffff00 0000e0 ffa0ff 00ff50 e00000 d000ff 50e0e0 007000 800060 ff6060 ffffa0 5080ff
a08000 000060 90ff00 a060ff ff20b0 90ffa0 702000 d0ff50 008060 ffb050 00ffa0 ff50ff
ff6000 5030ff ff0060 30e000 00a0ff ff80a0 00ffff a0ffff 60a030 1050a0 50ff70 6000a0
"""
# fmt: on
HALLWAY_COLOURS: UInt8[np.ndarray, "36 3"] = np.array([list(bytes.fromhex(code)) for code in _HEX.split()], np.uint8)
"""Wall colours of the hallways before shading, in farthest-first order: the first n are the most distinct n."""

for _colours in (WALL_LIGHT, GREY, FLOOR, CEILING, HALLWAY_COLOURS):
    _colours.setflags(write=False)


def shaded(colour: UInt8[np.ndarray, "*n 3"], light: float | np.ndarray) -> Float[np.ndarray, "*n 3"]:
    """Colours under a light (a number or an array that broadcasts with them), in [0, 255] before rounding."""
    return np.minimum(colour * light, 255.0)
