"""All world models by name, one entry per model; any of them is built here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from world_models import cwvae, lmc_memory, rssm
from world_models.dlh import dlh
from world_models.hrssm import hrssm
from world_models.interface import ACTIONS, CROP, ModelConfig
from world_models.options import label, override
from world_models.spec import ModelSpec, Recipe

MODELS: dict[str, ModelSpec] = {
    "hrssm": hrssm.SPEC,
    "rssm": rssm.SPEC,
    "dlh": dlh.SPEC,
    "cwvae": cwvae.SPEC,
    "lmc-memory": lmc_memory.SPEC,
}


def spec_of(model: str) -> ModelSpec:
    """The entry of a model; ValueError if the name is unknown."""
    return choose("model", model, MODELS)


def choose(kind: str, name: Any, known: Mapping[Any, Any], of: str = "") -> Any:
    """The entry with that name; ValueError, naming the known ones, if there is none."""
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}{of and f' of {of}'}: choose one of {', '.join(map(str, known))}")
    return known[name]


def recipe_of(model: str, preset: str, variant: str) -> Recipe:
    """How a model is trained: a preset without a recipe of its own as `quick` is.

    Raises:
        ValueError: a name is unknown.
    """
    spec = spec_of(model)
    choose("preset", preset, spec.sizes, model)
    own = (preset, variant)
    return choose("recipe", own if own in spec.recipes else ("quick", variant), spec.recipes, model)


def build_model(
    model: str,
    preset: str,
    variant: str,
    frame_size: int,
    options: Sequence[str] = (),
    actions: int = ACTIONS,
    goal: tuple[int, ...] = CROP,
) -> nn.Module:
    """Build a model with random weights.

    Args:
        model: a name in `MODELS`.
        preset: a name in its spec's `sizes`.
        variant: a name in its spec's `variants`.
        frame_size: height and width of the frames, in pixels.
        options: changes NAME=VALUE of the variant's options.
        actions: number of actions in the data; 0 for videos, which have no goals either.
        goal: shape of a stored goal.

    Raises:
        ValueError: a name is unknown, or a change, the frame size or the actions do not suit.
    """
    spec = spec_of(model)
    sizes = choose("preset", preset, spec.sizes, model)
    chosen = override(choose("variant", variant, spec.variants, model), options)
    if actions and not spec.acts:
        raise ValueError(
            f"{model} models videos, and this data has {actions} actions: train on a data set of 'jumpy videos', or "
            "another --model"
        )
    return spec.network(ModelConfig(sizes, chosen, frame_size, actions, goal))


def variant_label(model: str, variant: str, options: Any) -> str:
    """Name of a variant with the changes of its options: vta, ours, ours+n_max=20 and such."""
    return label(variant, spec_of(model).variants[variant], options)


def rebuild_model(model: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a model with random weights from the configuration in a checkpoint, a nested dictionary.

    Options that it lacks have their defaults, the paper's.

    Raises:
        ValueError: the model is unknown, or the configuration has entries that this version does not support.
    """
    return spec_of(model).network(_configuration(model, config))


def complete(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in a checkpoint, with defaults of what it lacks; errors as in `rebuild_model`."""
    return asdict(_configuration(model, config))


def _configuration(model: str, config: Mapping[str, Any]) -> ModelConfig:
    spec = spec_of(model)
    sizes, options = (type(next(iter(known.values()))) for known in (spec.sizes, spec.variants))
    try:
        given = {name: value for name, value in config["options"].items() if (name, value) not in spec.retired}
        rest = {name: value for name, value in config.items() if name not in ("sizes", "options")}
        rest["goal"] = tuple(rest.get("goal", CROP))  # of older checkpoints; JSON has lists
        return ModelConfig(sizes(**config["sizes"]), options(**given), **rest)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this version does not support {model} of this configuration ({error})") from error
