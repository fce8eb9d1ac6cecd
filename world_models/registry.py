"""Build any world model by its name."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from world_models import cwvae, rssm
from world_models.blocks.networks import SIZES
from world_models.dlh import dlh
from world_models.dlh import options as dlh_options
from world_models.hrssm import hrssm
from world_models.hrssm import options as hrssm_options
from world_models.interface import ACTIONS
from world_models.options import label, override

MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "rssm": (rssm.RSSM, rssm.RSSMConfig, rssm.VARIANTS),
    "hrssm": (hrssm.HRSSM, hrssm_options.HRSSMConfig, hrssm_options.VARIANTS),
    "dlh": (dlh.DLH, dlh_options.DLHConfig, dlh_options.VARIANTS),
    "cwvae": (cwvae.CWVAE, cwvae.CWVAEConfig, cwvae.VARIANTS),
}
OWN_SIZES: dict[str, dict[str, Any]] = {"cwvae": cwvae.SIZES, "dlh": dlh_options.SIZES}
"""presets of the models whose sizes are not `networks.Sizes`"""
VIDEOS_ONLY = ("cwvae",)


def standard_variant(model: str) -> str:
    """The variant that is trained where none is named: the last one of a model, ours where there is one."""
    return list(MODELS[model][2])[-1]


def sizes_of(model: str) -> dict[str, Any]:
    """A model's presets."""
    return OWN_SIZES.get(model, SIZES)


def build_model(
    model: str, preset: str, variant: str, frame_size: int, options: Sequence[str] = (), actions: int = ACTIONS
) -> nn.Module:
    """Build a model with random weights.

    Args:
        model: a name of `MODELS`.
        preset: a name of `sizes_of(model)`; sets sizes.
        variant: "vta" or "paper" (faithful) or "ours"; sets options.
        frame_size: height and width of the frames, in pixels.
        options: changes NAME=VALUE of the variant's options.
        actions: how many the data has; 0 for videos, which have no goals either.

    Raises:
        ValueError: a name is unknown, or a change, the frame size or the actions do not suit.
    """
    for kind, name, known in (("model", model, MODELS), ("preset", preset, SIZES)):
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")
    network, config, variants = MODELS[model]
    if variant not in variants:
        raise ValueError(f"unknown variant {variant!r} of {model}: choose one of {', '.join(variants)}")
    if frame_size % 32:
        raise ValueError(
            f"frames of {frame_size} pixels cannot be encoded: collect with a size that is a multiple of 32"
        )
    if actions and model in VIDEOS_ONLY:
        raise ValueError(
            f"{model} models videos, and this data has {actions} actions: train on a data set of 'jumpy videos', or "
            "another --model"
        )
    chosen = override(variants[variant], options)
    goals = (getattr(chosen, name, None) for name in ("imagination_weight", "legal_weight"))
    if not actions and any(weight is not None for weight in goals):
        raise ValueError(
            f"variant {variant!r} of {model} learns from goals and legal actions, videos have none: use --variant vta, "
            "or --options imagination_weight=none legal_weight=none"
        )
    return network(config(sizes_of(model)[preset], chosen, frame_size, actions))


def variant_label(model: str, variant: str, options: Any) -> str:
    """Name of a variant whose options may have been changed: vta, ours, ours+n_max=20 and such."""
    return label(variant, MODELS[model][2][variant], options)


def rebuild_model(model: str, config: dict[str, Any]) -> nn.Module:
    """Build a model with random weights from the configuration in a checkpoint.

    Args:
        model: a name of `MODELS`.
        config: its configuration as a nested dictionary; options that it lacks have their defaults, the paper's.

    Raises:
        ValueError: the model is unknown, or the configuration has entries that this version does not know.
    """
    configuration = _configuration(model, config)
    return MODELS[model][0](configuration)


def complete(model: str, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration in a checkpoint, with the defaults of what it lacks; errors as in `rebuild_model`."""
    return asdict(_configuration(model, config))


def _configuration(model: str, config: dict[str, Any]) -> Any:
    """The configuration as the model's dataclass."""
    if model not in MODELS:
        raise ValueError(f"unknown model {model!r}: choose one of {', '.join(MODELS)}")
    _, whole, variants = MODELS[model]
    try:
        options = type(variants[standard_variant(model)])(**config["options"])
        rest = {name: value for name, value in config.items() if name not in ("sizes", "options")}
        return whole(type(sizes_of(model)["quick"])(**config["sizes"]), options, **rest)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this version knows no {model} of this configuration ({error})") from error
