"""HRSSM and RSSM against losses that golden/make_golden.py computed from the equations without them."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.tiny import PATCH
from tests.world_models.golden import make_golden as golden
from world_models.hrssm.hrssm import HRSSM
from world_models.hrssm.options import HRSSMOptions
from world_models.interface import Batch, ModelConfig
from world_models.rssm import RSSM, RSSMOptions

GOLDEN = json.loads(golden.PATH.read_text())


def build(kind: str) -> Any:
    """The model with the golden weights; frames without noise."""
    shared = {"context": golden.CONTEXT, "window": golden.WINDOW, "sigma": golden.SIGMA, "dequantise": False}
    structure = {"lookahead": golden.LOOKAHEAD, "n_max": golden.N_MAX, "l_max": golden.L_MAX}
    model: Any = (
        HRSSM(ModelConfig(PATCH, HRSSMOptions(**shared | structure)))  # type: ignore[arg-type]
        if kind == "hrssm"
        else RSSM(ModelConfig(PATCH, RSSMOptions(**shared)))  # type: ignore[arg-type]
    )
    weights = golden.weights(golden.MODELS[kind][1])
    model.load_state_dict({name: torch.from_numpy(value).float() for name, value in weights.items()})
    return model


def give_noise(monkeypatch: pytest.MonkeyPatch, seen: dict[str, Tensor], samples: list[str]) -> None:
    """Let the model draw the golden numbers: lengths of contexts, uniforms of boundaries, normals of samples."""
    order = iter(samples)

    def given(name: str, shape: tuple[int, ...]) -> Tensor:
        assert seen[name].shape == shape, name
        return seen[name].float()

    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor(golden.LENGTH))
    monkeypatch.setattr(torch, "rand", lambda shape, **_: given("uniform", shape))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: given(next(order), shape))


@pytest.mark.parametrize(("kind", "samples"), [("hrssm", ["eps_z", "eps_s"]), ("rssm", ["eps_s"])])
def test_every_term_equals_the_equations_without_this_package(monkeypatch, kind, samples):
    model, frames = build(kind), golden.MODELS[kind][2]
    assert model.window_length == frames
    seen = {name: torch.from_numpy(value) for name, value in golden.inputs(frames).items()}
    mask = torch.ones(*seen["a"].shape, golden.ACTIONS, dtype=torch.bool)
    give_noise(monkeypatch, seen, samples)
    losses = model.loss(Batch(seen["x"], seen["a"], mask, seen["crop"]), 0)
    found = losses.terms | {name: losses.metrics[name] / golden.WINDOW for name in ("boundaries",) if kind == "hrssm"}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(GOLDEN[kind], rel=1e-5)


def test_the_script_still_finds_the_committed_numbers():
    found = golden.losses()
    assert set(found) == set(GOLDEN)
    for kind, terms in found.items():
        assert terms == pytest.approx(GOLDEN[kind], rel=1e-9)
    assert 0.3 < GOLDEN["hrssm"]["boundaries"] < 0.7  # COPY and UPDATE, INIT and UPDATE all happen
