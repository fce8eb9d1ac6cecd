"""Models that say so take the same step for any batch: the same operations on the same shapes, no look at a value."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.tiny import random_batch
from world_models.dlh.hierarchy import Hierarchy
from world_models.interface import Replayable
from world_models.registry import MODELS, build_model

CLAIMS = [
    (model, variant, actions)
    for model, actions in (("rssm", 0), ("rssm", 3), ("cwvae", 0), ("dlh", 0), ("dlh", 3))
    for variant in MODELS[model].variants
    if variant != "ours" or (model, actions) in (("rssm", 3), ("dlh", 0))
]
LOOKS = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._unique", "aten.equal")


class Recorder(TorchDispatchMode):
    """Records every operation with the shapes of its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[torch.Size, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = tuple(each.shape for each in args if isinstance(each, torch.Tensor))
        self.seen.append((str(func), shapes))
        return func(*args, **(kwargs or {}))


def recorded(model: Any, seed: int, step: int) -> list[tuple[str, tuple[torch.Size, ...]]]:
    batch = random_batch(3, model.window_length, seed)
    if not model.config.actions:
        batch = batch._replace(action=torch.zeros_like(batch.action))
    model.zero_grad(set_to_none=True)
    with Recorder() as recorder:
        model.loss(batch, torch.tensor(step)).total.backward()
    return recorder.seen


@pytest.mark.parametrize(("name", "variant", "actions"), CLAIMS)
def test_a_replayable_step_is_the_same_for_any_batch_and_any_step(
    monkeypatch: pytest.MonkeyPatch, name: str, variant: str, actions: int
) -> None:
    monkeypatch.setattr(Hierarchy, "masked", True)  # as on a GPU
    model: Any = build_model(name, "quick", variant, 32, (), actions)
    assert isinstance(model, Replayable)
    assert model.replayable
    first, later = recorded(model, 0, 0), recorded(model, 1, 5000)
    assert len(first) > 100
    assert first == later
    # one_hot looks at its least action on a CPU only
    looks = [name for name, _ in first if name.startswith(LOOKS) and "_local_scalar_dense" not in name]
    assert looks == []


def test_models_whose_step_depends_on_the_batch_do_not_say_so() -> None:
    assert not isinstance(build_model("hrssm", "quick", "ours", 32), Replayable)
    dlh: Any = build_model("dlh", "quick", "ours", 32)
    assert not dlh.replayable
