"""Build any world model by its name."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from world_models import hrssm, hrssm_options, rssm
from world_models.interface import ACTIONS
from world_models.networks import SIZES, Sizes
from world_models.options import label, override

MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "rssm": (rssm.RSSM, rssm.RSSMConfig, rssm.VARIANTS),
    "hrssm": (hrssm.HRSSM, hrssm_options.HRSSMConfig, hrssm_options.VARIANTS),
}


def build_model(
    model: str, preset: str, variant: str, frame_size: int, options: Sequence[str] = (), actions: int = ACTIONS
) -> nn.Module:
    """Build a model with random weights.

    Args:
        model: a name of `MODELS`.
        preset: a name of `networks.SIZES`; sets sizes.
        variant: "vta" (faithful) or "ours"; sets options.
        frame_size: height and width of the frames, in pixels.
        options: changes NAME=VALUE of the variant's options.
        actions: how many the data has; 0 for videos, which have no goals either.

    Raises:
        ValueError: a name is unknown, or a change or the frame size does not suit.
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
    chosen = override(variants[variant], options)
    if not actions and not chosen.imagination_weight is chosen.legal_weight is None:
        raise ValueError(
            f"variant {variant!r} of {model} learns from goals and legal actions, videos have none: use --variant vta, "
            "or --options imagination_weight=none legal_weight=none"
        )
    return network(config(SIZES[preset], chosen, frame_size, actions))


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
        options = type(variants["vta"])(**config["options"])
        rest = {name: value for name, value in config.items() if name not in ("sizes", "options")}
        return whole(Sizes(**config["sizes"]), options, **rest)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this version knows no {model} of this configuration ({error})") from error
