"""All figures, tables and plots of the results: a new one is a module and an entry here.

`jumpy figure NAME` and `jumpy table NAME` render the entries of `FIGURES` and `TABLES` from their committed numbers, or
measure these first; `jumpy plot DIR` measures and renders all of `PLOTS` from a benchmark's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from experiments.figures.adding import add_budget, add_rewards
from experiments.figures.artefact import Artefact
from experiments.figures.boundaries import measure_boundaries, plot_boundaries
from experiments.figures.budget import measure_budget, plot_budget
from experiments.figures.dlh_tables import measure_levels, measure_prediction
from experiments.figures.far import measure_far, plot_far
from experiments.figures.frame_metrics import measure_frame_metrics, plot_frame_metrics
from experiments.figures.frames import plot_jumpy_generations, plot_two_generations, plot_varied_lengths
from experiments.figures.generation import measure_jumpy_generations, measure_two_generations, measure_varied_lengths
from experiments.figures.journey import measure_journey, plot_journey
from experiments.figures.learning_curves import measure_learning_curves, plot_learning_curves
from experiments.figures.map import measure_map, plot_map
from experiments.figures.markdown import results_table
from experiments.figures.options import measure_options, options_table
from experiments.figures.rewards import measure_rewards, plot_rewards
from experiments.figures.rollouts import measure_level_samples, measure_rollouts, plot_level_samples, plot_rollouts
from experiments.figures.routes import measure_routes, plot_routes
from experiments.figures.seen import measure_seen, plot_seen
from experiments.figures.structure_prior import measure_structure_prior, plot_structure_prior
from experiments.figures.unseen import plot_unseen
from experiments.video.level_metrics import CHANGES
from experiments.video.rows import EARLY

FRAMES, POINTS = ("json", "npz"), ("json", "csv")
VIDEO_RUN, VIDEO_RUNS = {"runs": "RUN", "data": "DIR"}, {"runs": "RUN…", "data": "DIR"}
BENCHMARKS = {"benchmarks": "DIR…"}


def _generations(plot: Callable, measure: Callable) -> Artefact:
    """What HRSSM imagines in its maze."""
    return Artefact(plot, measure, FRAMES, {"runs": "RUN"}, ("seed",), models=("hrssm",), trained_on="maze")


def _futures(consecutive: bool) -> Artefact:
    """Futures of videos, sampled by any models."""
    measure = partial(measure_rollouts, consecutive=consecutive)
    return Artefact(plot_rollouts, measure, FRAMES, VIDEO_RUNS, ("seed",), trained_on="videos")


def _levels(groups: Callable[[int], list[tuple[int, ...]]], needs: dict[str, str]) -> Artefact:
    """Levels of DLH, resampled."""
    measure = partial(measure_level_samples, groups=groups)
    return Artefact(plot_level_samples, measure, FRAMES, needs, ("seed",), models=("dlh",), trained_on="videos")


def _dlh_table(title: str, by: Literal["levels", "λ"], names: Callable[[int], tuple[str, ...]], notes: str) -> Artefact:
    """A table about the levels of DLH on Moving Ball."""
    return Artefact(
        partial(results_table, title=f"{title} of Zakharov et al. 2022)", notes=notes),
        partial(measure_levels, by=by, names=names),
        needs=VIDEO_RUNS | {"data": "DIR…"},
        accepts=("sequences", "seed", "device"),
        models=("dlh",),
        trained_on="videos",
    )


FIGURES = {
    "vta-3": Artefact(plot_boundaries, measure_boundaries, FRAMES, VIDEO_RUN, models=("hrssm",), trained_on="videos"),
    "vta-4": Artefact(plot_learning_curves, measure_learning_curves, POINTS, {"runs": "RUN…"}, trained_on="maze"),
    "vta-5": _generations(plot_two_generations, measure_two_generations),
    "vta-6": _generations(plot_jumpy_generations, measure_jumpy_generations),
    "vta-7": _generations(plot_varied_lengths, measure_varied_lengths),
    "vta-8": Artefact(plot_rewards, measure_rewards, POINTS, BENCHMARKS, add=add_rewards),
    "dlh-4": _futures(consecutive=False),
    "dlh-5": _levels(lambda levels: [(level,) for level in range(1, levels + 1)], VIDEO_RUN),
    "dlh-6": _futures(consecutive=True),
    "dlh-7": _futures(consecutive=False),
    "dlh-9": Artefact(plot_frame_metrics, measure_frame_metrics, POINTS, {"predictions": "DIR…"}),
    "dlh-10": _levels(lambda levels: [tuple(range(3, levels + 1))] if levels > 2 else [], VIDEO_RUNS),
    "dlh-11": _levels(lambda levels: [(1, 2)], VIDEO_RUNS),
    "budget": Artefact(plot_budget, measure_budget, needs=BENCHMARKS, add=add_budget),
    "far": Artefact(plot_far, measure_far, needs=BENCHMARKS),
    "map": Artefact(
        plot_map, measure_map, needs={"runs": "RUN…"}, accepts=("seed",), models=("hrssm",), trained_on="maze"
    ),
    "journey": Artefact(
        plot_journey,
        measure_journey,
        needs={"runs": "RUN"},
        accepts=("seed",),
        models=("hrssm", "dlh"),
        trained_on="maze",
    ),
    "structure-prior": Artefact(
        plot_structure_prior,
        measure_structure_prior,
        POINTS,
        {"runs": "with=RUN without=RUN…", "data": "DIR"},
        models=("hrssm",),
        trained_on="maze",
    ),
    "unseen": Artefact(plot_unseen, files=POINTS, origin="make it with 'jumpy unseen'"),
}
"""vta-N is Figure N of Kim et al. 2019, dlh-N of Zakharov et al. 2022; rendered as NAME.png."""

TABLES = {
    "dlh-1": Artefact(
        render=partial(
            results_table,
            title="Open-loop video prediction (Table 1 of Zakharov et al. 2022)",
            notes="The best of several samples of each test video, chosen for each metric by its mean over the "
            "video. SSIM: Gaussian windows of 11 × 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, data range 255, mean "
            "over windows within the image and over colours. PSNR: mean over frames, in decibels. The paper's VTA is "
            "hrssm here; its stars (standard deviation below 5 %) are ±<5%. `mazes` are ours and stand in for "
            "dml-mazes, which cannot be reproduced. moving-mnist may show other digits and speeds than the paper's; "
            "its frames are grey, so the mean over a model's colours is compared. The baselines last-frame, black and "
            "mean-frame repeat the last frame of the context, black, or the mean of all training frames. Frames 1 to "
            f"{EARLY} are the first that are predicted, of the sample with the best SSIM of the whole video. dlh − "
            "another: paired differences on the same videos.",
        ),
        measure=measure_prediction,
        needs={"predictions": "DIR…"},
    ),
    "dlh-2": _dlh_table(
        "Levels used and total divergence on Moving Ball (Table 2",
        "levels",
        lambda levels: ("levels_used", "one_plus_change", "kl", "kl_e", *CHANGES),
        "Levels used: levels that change per frame, without the first frame; ideally 1 + the fraction of frames "
        "whose colour changes. KL: divergence of all levels' states, nats per frame (the sum of the paper's Table "
        "5), without KL of e. F1: e² against true colour changes; by chance: against those of another video.",
    ),
    "dlh-3": _dlh_table(
        "Chance of a change at level 2, p(e² = 1) (Table 3",
        "λ",
        lambda levels: ("p_change", "generator_change", "p_static", "generator_static", *CHANGES),
        "Means where the posterior says change and static, from the third frame on; ideally the generator's own: a "
        "bounce always changes the colour, any other frame does with probability λ. F1: e² against true colour "
        "changes; by chance: against those of another video.",
    ),
    "dlh-5": _dlh_table(
        "Divergence of each level on Moving Ball (Table 5",
        "levels",
        lambda levels: (*(f"kl_{n}" for n in range(1, levels + 1)), *["kl_share_above_2"] * (levels > 2)),
        "KL of each level's state, nats per frame, over whole test videos.",
    ),
    "options": Artefact(options_table, measure_options, needs={"navigation": "ours=FILE 'without X'=FILE…"}),
}
"""Numbered as in Zakharov et al. 2022; rendered as NAME.md."""

PLOTS = {
    "rewards": Artefact(plot_rewards, measure_rewards, needs=BENCHMARKS),
    "budget": Artefact(plot_budget, measure_budget, needs=BENCHMARKS),
    "routes": Artefact(plot_routes, measure_routes, needs={"benchmarks": "DIR"}),
    "seen": Artefact(plot_seen, measure_seen, needs={"benchmarks": "DIR"}),
}
"""Plots of a benchmark, written into its folder as NAME.png."""
