"""The look of all figures: sizes, colours, the models' names and colours, and how a figure is saved."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from agent.system.atomic_files import write_file
from world_models.registry import MODELS

WIDTH, DOTS = 8.0, 150  # inches, pixels per inch: texts stay readable where a page shows 800 pixels
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
GREY = "#666666"  # of baselines
# The colours of Okabe and Ito, which are distinct for all kinds of colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def model_name(model: str) -> str:
    """A model's name as papers write it; its own if it is not registered."""
    return MODELS[model].display_name if model in MODELS else model


def model_colour(model: str) -> str | None:
    """A model's colour in every figure; None if it is not registered."""
    return MODELS[model].colour if model in MODELS else None


def label_colours(models: Mapping[str, str]) -> dict[str, str]:
    """A colour for each label from its model: the model's colour, or a free one where several labels share a model."""
    colours: dict[str, str] = {}
    for label, model in models.items():
        free = [colour for colour in COLOURS if colour not in (*colours.values(), *map(model_colour, models.values()))]
        own = model_colour(model)
        colours[label] = own if own and own not in colours.values() else (free or [own or GREY])[0]
    return colours


def label_name(label: str, model: str) -> str:
    """A label in legends: the model's display name, unless a label was given."""
    return model_name(model) if label == model else label


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG atomically; its folder must exist."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    write_file(path, content.getvalue())
