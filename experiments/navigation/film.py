"""Films of an agent in the maze: the map with what it imagines, what it sees, the jumps that it chose, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agent.acting.agents import WorldModelAgent
from agent.system.atomic_files import write_file
from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from envs.top_view import draw_top_view
from experiments.common.films import KINDS, Picture, encode
from experiments.navigation.imagining import ACTION_NAMES, Episode, Imagination, Imaginer, actions_between
from experiments.navigation.tree_drawing import curves, strongest

FILMS_FOLDER = "films"
CELL, FRAME, JUMP, GAP, LINE = 18, 136, 52, 10, 16
"""pixels: a cell of the map, a frame, a decoded jump, between parts, a line of text"""
DIM = 0.55
"""how bright the map is, so that lines stand out"""
SMOOTH = 3
"""the tree is drawn so many times larger, and then made smaller"""
STEP, DECISION, END = 2, 9, 14
"""pictures of a step, of a decision, of an episode's end"""
JUMPS = 6
"""decoded jumps that are shown"""
PAPER, INK, SOFT = (255, 255, 255), (29, 33, 38), (92, 99, 107)
TREE, CHOSEN = (120, 200, 255), (255, 255, 255)


def write_films(
    folder: Path,
    name: str,
    agent: WorldModelAgent,
    layout: Layout,
    camera: Camera,
    walked: Mapping[str, np.ndarray],
) -> None:
    """Write NAME.mp4 and NAME.gif of some episodes, one after the other.

    Args:
        folder: made if it does not exist.
        name: of the agent.
        agent: its model and planner imagine anew at each decision.
        layout: the maze.
        camera: the agent's.
        walked: a recorded result of `navigate`.

    Raises:
        MissingDependency: PyAV is not installed.
    """
    folder.mkdir(exist_ok=True)
    drawn = [
        picture
        for row in range(len(walked["seed"]))
        for picture in pictures(agent, layout, camera, int(walked["seed"][row]), _poses(walked, row), name)
    ]
    for kind in KINDS:
        write_file(folder / f"{name}.{kind}", encode(drawn, kind))


def _poses(walked: Mapping[str, np.ndarray], row: int) -> np.ndarray:
    return walked["pose"][row, : int(walked["steps"][row]) + 1]


def pictures(
    agent: WorldModelAgent, layout: Layout, camera: Camera, seed: int, poses: np.ndarray, name: str
) -> Iterator[Picture]:
    """Draw an episode that was walked through these poses, picture by picture."""
    imaginer, dynamics, episode = Imaginer(agent.model, layout), Dynamics.of(layout), Episode.of(layout, seed)
    view = Raycaster(layout, camera.size, camera.fov_degrees)
    actions, found, at = actions_between(dynamics, poses), None, 0
    for t in range(len(poses)):
        legal = dynamics.action_mask(poses[t : t + 1])[0].tolist()
        frames = episode.frames(view, camera, poses[: t + 1], agent.model.context)
        decides = t < len(actions) and sum(legal) > 1
        if decides:
            found, at = imaginer.imagine(agent.planner, frames, actions[:t], episode.goal, legal, seed + t), t
        ends = t == len(poses) - 1
        solved = ends and tuple(poses[t, :2].tolist()) == episode.goal
        says = f"step {t}" if not ends else f"reward {dynamics.life_steps - t}" if solved else "not solved"
        tree = (found, poses[at]) if found is not None else None
        page = _page(layout, episode, poses[: t + 1], frames[-1], tree, f"{name}   {says}")
        yield from [page] * (END if ends else DECISION if decides else STEP)


def _page(
    layout: Layout,
    episode: Episode,
    poses: np.ndarray,
    frame: np.ndarray,
    tree: tuple[Imagination, np.ndarray] | None,
    title: str,
) -> Picture:
    """One picture."""
    plain, trail = draw_top_view(layout, cell=CELL), draw_top_view(layout, path=poses, cell=CELL)
    marks = draw_top_view(layout, poses[-1], np.array(episode.goal), cell=CELL)
    under, over = ((plain != drawn).any(-1, keepdims=True) for drawn in (trail, marks))
    top = Image.fromarray(np.where(under, trail, plain * DIM).astype(np.uint8))
    if tree is not None:
        top = _with_tree(top, layout, *tree)
    top = Image.fromarray(np.where(over, marks, np.asarray(top)))
    high = max(top.height, 2 * LINE + FRAME + GAP + 2 * (JUMP + 2 * LINE))
    wide = top.width + 3 * GAP + 3 * (JUMP + GAP)
    page = Image.new("RGB", (wide + wide % 2, 2 * GAP + high + high % 2), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    page.paste(top, (GAP, GAP))
    left, at = top.width + 2 * GAP, GAP
    draw.text((left, at), title, INK, font)
    page.paste(_enlarged(frame, FRAME), (left, at + LINE + 2))
    at += LINE + FRAME + GAP
    if tree is not None:
        _jumps(page, draw, tree[0], left, at)
    return np.asarray(page)


def _jumps(page: Image.Image, draw: ImageDraw.ImageDraw, found: Imagination, left: int, top: int) -> None:
    """The chosen trajectory, decoded, with the cosine of each jump."""
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    spent = int(found.plan.transitions[0])
    draw.text((left, top), f"imagined: {spent} transitions", INK, font)
    for number, node in enumerate(found.trajectory[:JUMPS]):
        x, y = left + number % 3 * (JUMP + GAP), top + LINE + 2 + number // 3 * (JUMP + 2 * LINE)
        if found.pictures is not None:
            page.paste(_enlarged(found.pictures[number], JUMP), (x, y))
        action, cosine = ACTION_NAMES[int(found.tree.action[node])], float(found.tree.cosine[node])
        draw.text((x, y + JUMP), action, SOFT, small)
        draw.text((x, y + JUMP + LINE - 4), f"{cosine:.2f}", SOFT, small)


def _with_tree(top: Image.Image, layout: Layout, found: Imagination, pose: np.ndarray) -> Image.Image:
    """The map with an imagined tree, which is thicker where the cosine is larger."""
    size = (top.width * SMOOTH, top.height * SMOOTH)
    layer = Image.new("RGBA", size, (*TREE, 0))
    draw, scale = ImageDraw.Draw(layer), CELL * SMOOTH
    ways = curves(layout, found, int(pose[0]), int(pose[1])) * scale
    for node in strongest(found):
        fit = float(np.clip(float(found.tree.cosine[node]), 0, 1))
        _line(draw, ways[node], 0.05 + 0.2 * fit, (*TREE, int(60 + 160 * fit)), scale)
    for wide, colour in ((0.46, (*INK, 255)), (0.26, (*CHOSEN, 255))):
        for node in found.trajectory:
            _line(draw, ways[node], wide, colour, scale)
    layer = layer.resize(top.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(top.convert("RGBA"), layer).convert("RGB")


def _line(draw: ImageDraw.ImageDraw, way: np.ndarray, wide: float, colour: tuple[int, ...], scale: int) -> None:
    """A quadratic Bézier curve."""
    share = np.linspace(0, 1, 13)[:, None]
    start, corner, end = way
    points = (1 - share) ** 2 * start + 2 * share * (1 - share) * corner + share**2 * end
    draw.line([tuple(point) for point in points.tolist()], colour, max(1, round(wide * scale)), "curve")


def _enlarged(frame: np.ndarray, size: int) -> Image.Image:
    return Image.fromarray(frame).resize((size, size), Image.Resampling.NEAREST)
