"""Colours of the maze and how Miniworld's light shades them.

Miniworld places its light at `light_pos + 1` with w = 0, so the light is in effect directional and every flat face has
one constant shade: `colour * (0.2 + ambient + diffuse * max(0, normal . light))`, clamped to white. Walls have two
shades, one for faces towards east and south and one for faces towards west and north.

A search chose the hallway colours (`tests/support/palette_search.py`): after the models' quantisation to five bits,
any two of them are as far apart as possible in either shade. The first 36 were found for the paper's family; 36 more
come closer to each other and to these. Where colours run out, hallways have two *tones*, which alternate from cell to
cell: both the camera and the crop see the two next to each other. All 630 pairs of the first 36 colours are used, so
that 702 hallways can be told apart.
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
ff00e0 60ff30 301030 90b0ff ff3030 ffc090 2050ff 20e0d0 ffc010 9020ff 905080 d0ffd0
509080 505000 e03080 a0e070 90b010 d090ff 3020a0 d06020 a07050 a00030 6060a0 ffd0d0
d0d0ff 20a0d0 50ffb0 c0c050 60b0e0 e060d0 30a060 8030a0 205060 90ff50 ff9070 306030
"""
# fmt: on
HALLWAY_COLOURS: UInt8[np.ndarray, "72 3"] = np.array([list(bytes.fromhex(code)) for code in _HEX.split()], np.uint8)
"""Wall colours of hallways before shading; in each half farthest-first: the first n are the most distinct n."""
MIXED = 36
"""the first colours, of which two-tone hallways are made"""

for _colours in (WALL_LIGHT, GREY, FLOOR, CEILING, HALLWAY_COLOURS):
    _colours.setflags(write=False)


def _tones() -> UInt8[np.ndarray, "hallways 2 3"]:
    """One tone twice for each colour, then every pair of the first `MIXED` colours; neighbouring pairs share none."""
    first = np.arange(MIXED)
    halves = [(first, (first + apart) % MIXED) for apart in range(1, MIXED // 2)]
    halves.append((first[: MIXED // 2], first[MIXED // 2 :]))  # at the largest distance, each pair comes once
    pairs = np.concatenate([np.stack(half, axis=1) for half in halves])
    return np.concatenate([HALLWAY_COLOURS[:, None].repeat(2, axis=1), HALLWAY_COLOURS[pairs]])


TONES = _tones()
"""Wall colours of the first, third, … and of the second, fourth, … cell of each hallway before shading, by number."""
TONES.setflags(write=False)


def shaded(colour: UInt8[np.ndarray, "*n 3"], light: float | np.ndarray) -> Float[np.ndarray, "*n 3"]:
    """Colours under a light (a number or an array that broadcasts with them), in [0, 255] before rounding."""
    return np.minimum(colour * light, 255.0)
