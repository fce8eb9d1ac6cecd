"""A model's entry in the registry: one `ModelSpec`, at the end of the model's file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from world_models.interface import ModelConfig


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, unless the command line says otherwise."""

    steps: int
    batch_size: int
    """windows per step"""
    learning_rate: float
    """peak learning rate of Adam"""
    clip: float
    """largest norm of the gradient"""
    warmup: int = 0
    """steps over which the learning rate rises from zero"""
    decay: float = 0.0
    """last share of the steps over which the learning rate falls to zero"""
    epsilon: float = 1e-8
    """Adam's epsilon"""
    amsgrad: bool = True
    """keep the largest second moment"""


def for_all(variants: Mapping[str, Any], recipes: Mapping[str, Recipe]) -> dict[tuple[str, str], Recipe]:
    """The recipes of a model whose variants are trained alike, from those of its presets."""
    return {(preset, variant): recipe for preset, recipe in recipes.items() for variant in variants}


@dataclass(frozen=True)
class ModelSpec:
    """Everything that training, benchmark, figures and tables need to know about a model."""

    network: Callable[[ModelConfig], nn.Module]
    """the model's class; it raises ValueError for a configuration that it does not support"""
    sizes: Mapping[str, Any]
    """presets: dataclasses of one type, by name: `quick`, `paper`, and `million`, in which every model of videos of
    64 x 64 pixels has as many parameters as the DLH with three levels, 0.98 million, to be compared at equal size"""
    variants: Mapping[str, Any]
    """options: dataclasses of one type, by name; the last one is the standard"""
    recipes: Mapping[tuple[str, str], Recipe]
    """how each (preset, variant) is trained; a preset without an entry as `quick` is (`registry.recipe_of`)"""
    display_name: str
    """name in figures and tables"""
    colour: str
    """its colour in figures, as #rrggbb"""
    planner: str = "tree"
    """name of its standard planner (`planners.registry`)"""
    acts: bool = True
    """False: it models videos only, which have no actions"""
    shown: int = 30
    """frames of context in `jumpy predict`"""
    retired: tuple[tuple[str, Any], ...] = ()
    """options of older checkpoints, each with the one value that is still supported"""
    timed_mode: str = "full"
    """the mode of `generate` in which actions are those before each frame"""
    bounded_context: bool = False
    """True: it reads contexts of at most `config.options.context` frames, as in training"""
    fewest: int = 1
    """frames of context that it needs in `jumpy predict`"""
    deterministic: bool = False
    """True: all samples of a future are equal, so one is computed"""
    jumps_over_bends: bool = False
    """what one imagined transition is in a maze. True: from a choice to the next, through bends; False: a passage"""

    @property
    def standard_variant(self) -> str:
        """The variant that is trained by default."""
        return list(self.variants)[-1]
