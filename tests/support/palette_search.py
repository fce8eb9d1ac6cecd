"""The search that found the hallways' colours, and the distance that it maximises."""

import numpy as np
from jaxtyping import UInt8

from envs.palette import CEILING, CEILING_LIGHT, FLOOR, FLOOR_LIGHT, GREY, WALL_LIGHT, shaded

NONE: UInt8[np.ndarray, "0 3"] = np.empty((0, 3), np.uint8)


def five_bits(colour: np.ndarray) -> np.ndarray:
    """The 5-bit level (0 to 31) of colours in [0, 255]: what is left after the models' quantisation."""
    return np.rint(colour).astype(np.int64) >> 3


def wall_levels(colours: UInt8[np.ndarray, "n 3"]) -> np.ndarray:
    """The 5-bit levels (n, 2, 3) of the two shades that the walls of each colour show."""
    return five_bits(np.stack([shaded(colours, light) for light in WALL_LIGHT[[0, 2]]], axis=1))


def fixed_levels() -> np.ndarray:
    """The 5-bit levels (5, 3) that hallways keep away from: black, grey walls, floor and ceiling."""
    surroundings = [shaded(FLOOR, FLOOR_LIGHT), shaded(CEILING, CEILING_LIGHT), np.zeros(3)]
    return np.concatenate([wall_levels(GREY[None])[0], five_bits(np.stack(surroundings))])


def smallest_distance(colours: UInt8[np.ndarray, "n 3"]) -> float:
    """Smallest distance in 5-bit levels between two hallways, or a hallway and its surroundings, in any two shades."""
    levels = wall_levels(colours)
    n = len(levels)
    apart = np.sqrt(_squared(levels, levels) + np.where(np.eye(n, dtype=bool), 1 << 20, 0))
    return float(min(apart.min(), np.sqrt(_squared(levels, fixed_levels()[:, None])).min()))


def safe_levels(levels: np.ndarray) -> np.ndarray:
    """True (n,) where neither wall shade of a level in [0, 255] comes near to x.5, where rounding is a toss-up."""
    values = np.multiply.outer(levels, WALL_LIGHT[[0, 2]])
    return (np.abs(values % 1 - 0.5) > 0.04).all(axis=1)


def search_palette(
    seed: int, number: int = 36, rounds: int = 2000, kept: UInt8[np.ndarray, "k 3"] = NONE
) -> UInt8[np.ndarray, "n 3"]:
    """Search colours whose smallest distance is large; seed 4 gave the first 36 colours, the best of seeds 0 to 9.

    Starts from farthest-first picks on a grid of colours 16 apart and then, round after round, moves one of the colours
    that are nearest to another one to where it is farthest from all the others. Takes about 2 s. The found colours also
    stay away from those that are `kept`, and come after them.
    """
    rng = np.random.default_rng(seed)
    grid = np.minimum(np.arange(17) * 16, 255)
    grid = grid[safe_levels(grid)]
    candidates = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.uint8)
    levels = wall_levels(candidates)
    fixed = _squared(levels, fixed_levels()[:, None]).min(axis=1)
    if len(kept):
        fixed = np.minimum(fixed, _squared(levels, wall_levels(kept)).min(axis=1))
    number -= len(kept)

    def farthest(nearest: np.ndarray) -> int:
        return int(np.argmax(nearest + 2 * rng.random(len(nearest))))

    chosen: list[int] = []
    apart = np.empty((number, len(candidates)), np.int64)  # row i: from every candidate to the i-th chosen one
    for i in range(number):
        chosen.append(farthest(np.minimum(fixed, apart[:i].min(axis=0, initial=1 << 20))))
        apart[i] = _squared(levels, levels[chosen[i], None])[:, 0]
    best, palette = -1, chosen
    for _ in range(rounds):
        pairs = apart[:, chosen] + np.where(np.eye(number, dtype=bool), 1 << 20, 0)
        nearest = np.minimum(pairs.min(axis=1), fixed[chosen])
        if nearest.min() > best:
            best, palette = int(nearest.min()), list(chosen)
        movable = np.flatnonzero(nearest == nearest.min()) if rng.random() < 0.9 else np.arange(number)
        i = int(rng.choice(movable))
        chosen[i] = farthest(np.minimum(fixed, np.delete(apart, i, axis=0).min(axis=0)))
        apart[i] = _squared(levels, levels[chosen[i], None])[:, 0]
    return np.concatenate([kept, _farthest_first(candidates[palette])])


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest squared distance (n, m) over the shades of a (n, p, 3) and b (m, q, 3)."""
    difference = a[:, None, :, None] - b[None, :, None, :]
    return (difference**2).sum(axis=-1).min(axis=(2, 3))


def _farthest_first(colours: np.ndarray) -> np.ndarray:
    levels = wall_levels(colours)
    apart = _squared(levels, levels)
    order = [int(np.argmax(_squared(levels, fixed_levels()[:, None]).min(axis=1)))]
    while len(order) < len(colours):
        nearest = apart[:, order].min(axis=1)
        nearest[order] = -1
        order.append(int(np.argmax(nearest)))
    return colours[order]
