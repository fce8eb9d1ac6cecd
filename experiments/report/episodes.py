"""The report's worst episodes: their maps, and what was imagined at the wrong turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from envs.camera import Camera
from envs.layout import Layout
from experiments.common.json_files import read_json
from experiments.common.result_folder import CONFIG
from experiments.figures.benchmarks import Benchmarks, with_largest_budget
from experiments.navigation.agents import FLOOR
from experiments.navigation.episode_files import read_episodes, read_paths
from experiments.navigation.imagining import ACTION_NAMES
from experiments.report.maps import maze_symbol, picture, tree_map, walk_map
from experiments.report.plots import ShownEntry
from experiments.report.worst import Walk, best_by_first_action, walk_again, worst

PICTURES, SHOWN = 10, 3
"""decoded jumps that are shown; episodes of an environment without a map"""


def worst_episodes(
    found: Benchmarks, shown: Sequence[ShownEntry], summaries: Mapping[Path, dict[str, Any]], number: int
) -> str:
    """The worst episodes of every label's entry with the largest budget."""
    try:
        layout = Layout.parse(found.facts["layout"])
        camera = _camera(next(iter(summaries)))
    except ValueError as error:
        return f'<p class="warning">They cannot be walked again: {escape(str(error))}</p>'
    assert found.ceiling is not None  # of a maze it is known
    largest = {entry.facts["label"]: (name, colour, entry) for name, colour, entry in shown}
    parts = [maze_symbol(layout)]
    for name, colour, entry in largest.values():
        rows = worst(entry.episodes, found.ceiling, number)
        parts.append(f"<h3>{escape(name)}</h3>")
        if not len(rows):
            parts.append("<p>Every episode took the shortest way.</p>")
            continue
        try:
            walks = walk_again(entry.facts, layout, camera, entry.episodes, rows)
        except (ValueError, TypeError) as error:
            its = "".join(
                f"<li>seed {entry.episodes['seed'][row]}: reward {entry.episodes['reward'][row]}</li>" for row in rows
            )
            parts.append(f'<p class="warning">They cannot be walked again: {escape(str(error))}</p><ul>{its}</ul>')
            continue
        parts += [_walk(layout, walk, colour) for walk in walks]
    return "".join(parts)


def first_episodes(summaries: Mapping[Path, dict[str, Any]]) -> str:
    """What each agent saw first and last in an environment without a map, and the goal where it is a picture."""
    parts = []
    for folder, summary in summaries.items():
        for name in (FLOOR, *with_largest_budget(summary)):
            paths, rows = read_paths(folder, name, summary), read_episodes(folder, name, summary)
            parts.append(f"<h3>{escape(name)}</h3>")
            for row, steps in enumerate(paths["steps"][:SHOWN].tolist()):
                ended = (
                    f"reached the goal after {steps} steps" if rows["success"][row] else f"not solved in {steps} steps"
                )
                shown = ["start", "end", *["goal"] * (paths["goal"].ndim == 4)]
                pictures = "".join(picture(paths[kind][row], kind, kind) for kind in shown)
                head = f"<p>Seed {paths['seed'][row]}: {ended}.</p>"
                parts.append(f'<article>{head}<div class="pictures">{pictures}</div></article>')
    return "".join(parts)


def _walk(layout: Layout, walk: Walk, colour: str) -> str:
    """One episode."""
    ended = f"reached the goal after {walk.steps} steps" if walk.success else f"not solved in {walk.steps} steps"
    head = f"Seed {walk.episode.seed}: {ended}, shortest {len(walk.shortest) - 1}; {walk.lost} of reward lost."
    if not walk.same:
        head += f" Its planner samples: walked again it took {len(walk.poses) - 1} steps."
    maps, pictures = walk_map(layout, walk, colour), ""
    if walk.turn is not None:
        turn, found = walk.turn, walk.turn.found
        best = best_by_first_action(found)
        cosines = ", ".join(f"{ACTION_NAMES[action]} {cosine:.2f}" for action, cosine in best.items())
        head += (
            f" At step {turn.t} it went {ACTION_NAMES[turn.taken]}; the shortest way goes {ACTION_NAMES[turn.right]}."
            f" Best cosine imagined after each action: {cosines}."
        )
        if found.action != turn.taken:
            head += f" Imagined anew it would go {ACTION_NAMES[found.action]}."
        maps += tree_map(layout, walk, found, turn.t, colour)
        if found.pictures is not None:
            for index, node in list(enumerate(found.trajectory))[:PICTURES]:
                says = (
                    f"{index + 1} {ACTION_NAMES[int(found.tree.action[node])]}<br>{float(found.tree.cosine[node]):.2f}"
                )
                pictures += picture(found.pictures[index], f"imagined after jump {index + 1}", says)
    return (
        f'<article><p>{escape(head)}</p><div class="maps">{maps}</div><div class="pictures">{pictures}</div></article>'
    )


def _camera(folder: Path) -> Camera:
    """The camera of a benchmark."""
    if not (folder / CONFIG).is_file():
        return Camera()
    settings = read_json(folder / CONFIG, "run the benchmark again", settings=dict)["settings"]
    prefix = "--camera."
    return Camera(**{key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)})
