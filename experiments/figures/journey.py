"""One long way to a goal: where the agent has been, and the tree that it imagined at some of its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import WALL, Layout
from envs.raycast import Raycaster
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.style import COLOURS, DOTS, WIDTH, model_name
from experiments.navigation.imagining import Episode, Imaginer
from planners.merging import Merging
from world_models.interface import Plannable

FIRST_SEED, EPISODES = 100_000, 1000
"""development episodes, of which the one with the longest shortest path is shown"""
SHOWN = 4  # decisions
PLANNER = Merging()
TREE, CHOSEN, WALKED = COLOURS[0], COLOURS[1], "#222222"


def measure_journey(runs: list[TrainedRun], seed: int) -> Numbers:
    """Walk one episode with merging search, and keep what some of its decisions imagined.

    Returns:
        ``layout``, ``rows``, the ``run``, its ``model``, the ``episode`` (seed, start, goal, shortest path, steps
        taken, solved), ``poses`` from the start on, and ``decisions``: ``at``, the step, ``spent`` transitions, and for
        each imagined node its ``parent`` (-1: the agent), ``cosine`` with the goal and ``hallway``, where it leads in
        the model's own opinion; ``chosen``, the nodes of the chosen trajectory.
    """
    (run,) = runs
    layout = Layout(run.training["layout"], tuple(run.training["rows"]))
    episode, shortest = _longest(layout)
    camera = Camera(size=run.training["config"]["frame_size"])
    poses, decisions = _walk(Imaginer(run.able(Plannable), layout), layout, camera, episode, seed)
    end = tuple(poses[-1][:2])
    facts: dict[str, Any] = {"layout": layout.name, "rows": list(layout.rows), "run": run.name}
    facts |= {"model": run.training["model"], "planner": PLANNER.kind, "poses": poses}
    facts["episode"] = {"seed": episode.seed, "start": episode.start, "goal": episode.goal, "shortest_path": shortest}
    facts["episode"] |= {"steps": len(poses) - 1, "solved": end == episode.goal}
    shown = np.unique(np.linspace(0, len(decisions) - 1, SHOWN).round().astype(int))
    return Numbers(facts | {"decisions": [decisions[number] for number in shown.tolist()]})


def _longest(layout: Layout) -> tuple[Episode, int]:
    """The episode that is shown, and the length of its shortest path."""
    episodes = [Episode.of(layout, FIRST_SEED + number) for number in range(EPISODES)]
    start, goal = (np.array([getattr(each, name) for each in episodes], np.int16) for name in ("start", "goal"))
    distance = Dynamics.of(layout).distance(start, goal)
    number = int(distance.argmax())
    return episodes[number], int(distance[number])


def _walk(
    imaginer: Imaginer, layout: Layout, camera: Camera, episode: Episode, seed: int
) -> tuple[list[list[int]], list[dict[str, Any]]]:
    """Walk until the goal or the end of the life steps; all poses, and what each decision imagined."""
    dynamics, view = Dynamics.of(layout), Raycaster(layout, camera.size, camera.fov_degrees)
    actions: list[int] = []
    decisions: list[dict[str, Any]] = []
    while True:
        poses = episode.poses(layout, actions)
        if tuple(poses[-1, :2].tolist()) == episode.goal or len(actions) == dynamics.life_steps:
            return poses.tolist(), decisions
        legal = dynamics.action_mask(poses[-1:])[0].astype(int).tolist()
        if sum(legal) == 1:
            actions.append(legal.index(1))
            continue
        frames = episode.frames(view, camera, poses, imaginer.model.context)
        found = imaginer.imagine(PLANNER, frames, actions, episode.goal, legal, seed)
        tree = {"parent": found.tree.parent.tolist(), "cosine": found.tree.cosine.tolist()}
        tree |= {"hallway": found.hallway.tolist(), "chosen": found.trajectory}
        decisions.append({"at": len(actions), "spent": int(found.plan.transitions[0])} | tree)
        actions.append(found.action)


def plot_journey(numbers: Numbers) -> Figure:
    """A panel for each decision that is shown."""
    facts = numbers.facts
    layout, decisions, episode = Layout(facts["layout"], tuple(facts["rows"])), facts["decisions"], facts["episode"]
    height, width = layout.shape
    rows = -(-len(decisions) // 2)
    figure = Figure(figsize=(WIDTH, rows * (WIDTH / 2 * height / width + 0.15) + 0.6), dpi=DOTS, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).flat
    for axes, decision in zip(panels, decisions, strict=False):
        _plot(axes, layout, np.array(facts["poses"])[: decision["at"] + 1], decision, episode["goal"])
        axes.set_title(f"step {decision['at']}: {decision['spent']} imagined jumps", fontsize=9)
    for axes in list(panels)[len(decisions) :]:
        axes.axis("off")
    end = f"reached after {episode['steps']} steps" if episode["solved"] else "not reached"
    figure.suptitle(
        f"{model_name(facts['model'])} in {facts['layout']}: a goal {episode['shortest_path']} steps away, {end}.\n"
        "Blue: imagined jumps, each to the hallway that it means to the model, stronger the more it resembles the goal."
        "\nOrange: the chosen trajectory. Black: the way so far. Star: the goal.",
        fontsize=9,
    )
    return figure


def _plot(axes: Axes, layout: Layout, walked: np.ndarray, decision: dict[str, Any], goal: Sequence[int]) -> None:
    """The map, the way so far, and the tree over it."""
    pale = 255 - (255 - layout.picture.astype(np.float64)) * 0.3
    wall = (layout.cells == WALL)[..., None]
    axes.imshow(np.where(wall, 70, pale).astype(np.uint8), interpolation="nearest")
    middles = np.array([np.argwhere(layout.hallway == number).mean(0)[::-1] for number in range(layout.hallways)])
    here = walked[-1, :2].astype(float)
    place = np.concatenate([middles[decision["hallway"]], here[None]])  # the agent is the last one: -1
    lines = np.stack([place[decision["parent"]], place[:-1]], axis=1)
    near = np.clip(np.array(decision["cosine"]), 0, 1)
    order = np.argsort(near)
    axes.add_collection(LineCollection(list(lines[order]), colors=TREE, linewidths=0.4 + 1.2 * near[order], alpha=0.6))
    axes.add_collection(LineCollection(list(lines[decision["chosen"]]), colors=CHOSEN, linewidths=2.2, zorder=3))
    axes.plot(*walked[:, :2].T, color=WALKED, linewidth=1.5)
    axes.plot(*here, "o", color="white", markeredgecolor="black", markersize=6, zorder=4)
    axes.plot(*goal, "*", color="#f0e442", markeredgecolor="black", markersize=12, zorder=4)
    axes.axis("off")
