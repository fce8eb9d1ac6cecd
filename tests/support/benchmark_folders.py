"""Folders of finished benchmarks, made without running any agent."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from agent.acting.agents import RandomAgent, ShortestPathAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.navigation.episode_files import EpisodeFile, write_paths
from experiments.navigation.summary import summarise
from planners.tree import full_tree

PAPER = Layout.paper()
FIRST_SEED = 100_000
SEEDS = range(FIRST_SEED, FIRST_SEED + 6)
UNTRAINED = {"trained": False}
HAND_STEPS = {"random": [100, 100, 100, 30, 40, 100], "shortest-path": [20, 25, 30, 10, 20, 40]}
HAND_SOLVED = {"random": [0, 0, 1, 1, 1, 0], "shortest-path": [1] * 6}


def trained(label: str, depth: int, model: str = "hrssm", seed: int = 0) -> dict[str, Any]:
    """The facts of a trained agent that searches a tree."""
    run = {"trained": True, "label": label, "model": model, "variant": "ours", "preset": "quick", "run": "run"}
    planner = {"kind": "tree", "depth": depth}
    return run | {
        "checkpoint": "",
        "trained_steps": 1,
        "training_seed": seed,
        "budget": full_tree(depth),
        "planner": planner,
    }


def write_benchmark(folder: Path, facts: dict[str, Any], episodes: dict[str, dict[str, np.ndarray]]) -> Path:
    """A finished benchmark with these episodes by the agents' names."""
    (folder / "episodes").mkdir(parents=True)
    seeds = range(FIRST_SEED, FIRST_SEED + len(episodes["random"]["seed"]))
    for name, columns in episodes.items():
        EpisodeFile(folder / "episodes" / f"{name}.csv", name, seeds, len(seeds)).append(columns)
    head = {"episodes": len(seeds), "layout": "paper", "first_seed": FIRST_SEED}
    (folder / "summary.json").write_text(json.dumps(head | summarise(episodes, facts), default=float))
    return folder


def walked(folder: Path, agents: dict[str, Any], episodes: int = 30) -> Path:
    """A benchmark with paths, whose trained agents walk at random."""
    facts = {"random": UNTRAINED, **agents, "shortest-path": UNTRAINED}
    (folder / "paths").mkdir(parents=True)
    results = {}
    for name in facts:
        agent = ShortestPathAgent(PAPER) if name == "shortest-path" else RandomAgent(seed=len(name))
        results[name] = navigate(agent, PAPER, range(FIRST_SEED, FIRST_SEED + episodes), record=True)
        results[name]["transitions"] = results[name]["decisions"] * facts[name].get("budget", 0)
        write_paths(folder / "paths" / f"{name}.npz", results[name])
    return write_benchmark(folder, facts, results)


def of_two_seeds(folder: Path) -> Path:
    """What `jumpy navigation` writes of two training seeds at two depths; one episode ends with its last step.

    The trained agents earn 50 minus the training seed, 40, 30, 80, 0 and 0, and do not solve the last episode.
    """
    for seed in (0, 1):
        for model in ("hrssm", "rssm"):
            facts: dict[str, Any] = {"random": UNTRAINED, "shortest-path": UNTRAINED}
            facts |= {f"{model}@{depth}": trained(model, depth, model, seed) for depth in (1, 2)}
            episodes = {}
            for name, fact in facts.items():
                steps = np.array(HAND_STEPS.get(name, [50 + seed, 60, 70, 20, 100, 100]))
                success = np.array(HAND_SOLVED.get(name, [1, 1, 1, 1, 1, 0]))
                episodes[name] = {
                    "seed": np.array(SEEDS),
                    "steps": steps,
                    "reward": np.where(success, 100 - steps, 0),
                    "success": success,
                    "shortest_path": np.array(HAND_STEPS["shortest-path"]),
                    "decisions": np.ones(6, int),
                    "transitions": np.full(6, 3 * fact["planner"]["depth"] if fact["trained"] else 0),
                    "planning_seconds": np.zeros(6),
                }
            write_benchmark(folder / "ours-quick" / f"seed-{seed}" / f"{model}-tree@1,2", facts, episodes)
    return folder
