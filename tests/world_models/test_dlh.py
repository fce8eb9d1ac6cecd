"""DLH against the paper's rules: by hand, by its properties, and by the plain loops of world_models/reference."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agent.data.batch import to_batch
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig, boundary_scores, evaluate
from agent.training.runs import load_model
from agent.training.train import RECIPES, train
from tests.support.dlh_models import CONVOLUTION, PATCH, WINDOW, build, colours, lengths, plain_colours
from tests.support.tiny import FRAME, assert_close, assert_same_losses, random_frames
from world_models.blocks.distributions import Gaussian
from world_models.blocks.images import to_float
from world_models.dlh.hierarchy import DLHState, Hierarchy, LevelPath
from world_models.dlh.options import PAPER, DLHConfig, DLHOptions, DLHSizes
from world_models.interface import Batch
from world_models.options import override
from world_models.reference.dlh import plain, plain_loss
from world_models.registry import build_model

CPU = torch.device("cpu")


# ------------------------------------------------------------------------ by hand


class Answer(nn.Module):
    """A network that answers by a formula."""

    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, features: Tensor) -> Any:
        return self.formula(features)


def by_hand(
    priors: list[tuple[float, float]], logit: float, sees_context: bool = False, vade: bool = False
) -> Hierarchy:
    """Levels of one number each: q(s^n) = N(x^n (+ c^n), 0.5²), p(s^n | e^n = 1) constant, c^{n-1} = s^n, c^N = 0."""
    sizes = DLHSizes(images="patch", channels=8, embedding=1, belief=1, state=1, hidden=1)
    hierarchy = Hierarchy(sizes, DLHOptions(levels=len(priors), vade=vade), 0)
    nn.init.zeros_(hierarchy.top_context)
    for n, (mean, std) in enumerate(priors):
        level: Any = hierarchy.level(n)

        def posterior(f: Tensor, scale: float = float(sees_context and n > 0)) -> Gaussian:
            return Gaussian(f[..., :1] + scale * f[..., 1:], torch.full_like(f[..., :1], 0.5))

        def prior(f: Tensor, mean: float = mean, std: float = std) -> Gaussian:
            return Gaussian(torch.full_like(f[..., :1], mean), torch.full_like(f[..., :1], std))

        level.post, level.prior = Answer(posterior), Answer(prior)
        if n:
            level.decode_net = Answer(lambda f: f[..., :1])
            nn.init.zeros_(level.factor_logit.weight)
            nn.init.constant_(level.factor_logit.bias, logit)
    return hierarchy


def follow(
    hierarchy: Hierarchy, x: list[Tensor], uniform: float | None = None
) -> tuple[Tensor, Tensor, list[LevelPath], Any]:
    """Change of one sequence at the posteriors' means: q(e), e, the paths and the divergences."""
    t, n = x[0].shape[1], len(x)
    start = (torch.arange(t) == 0)[None]
    draws = None if uniform is None else torch.full((1, t, n), uniform)
    a, noise = torch.zeros(1, t, 0), torch.zeros(1, t, n, 1)
    q_e, change = hierarchy.select(x, a, start, noise, draws)
    paths = hierarchy.paths(x, a, start, change, noise)
    return q_e, change, paths, hierarchy.divergences(paths, q_e, start)


def sequence(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[None, :, None]


def test_divergences_worked_by_hand():
    # KL[N(x, 0.5²) || N(m, 1)] = log 2 + (0.25 + (x - m)²) / 2 - 0.5 = 0.318147 + (x - m)² / 2
    # KL[N(x, 0.5²) || N(y, 0.5²)] = 2 (x - y)²
    hierarchy = by_hand([(0.5, 1.0), (1.9, 1.0)], logit=math.log(3))  # p(e = 1) = 3/4
    x = [sequence(0, 1, 0, 1), sequence(0, 0.1, 2, 2.1).requires_grad_()]
    q_e, change, _, (kl_s, kl_e) = follow(hierarchy, x)
    # frame       1        2           3             4
    # static      –        2 · 0.1²    2 · 1.9²      2 · 0.1²
    # change      1.9²/2   1.8²/2      0.1²/2        0.2²/2       each + 0.318147
    assert change[0].tolist() == [[True, True], [True, False], [True, True], [True, False]]
    assert torch.equal(q_e, change.float())
    assert kl_s[0].item() == pytest.approx(0.318147 + 0.125, abs=1e-5)
    assert kl_s[1].item() == pytest.approx((0.318147 + 1.805 + 0.02 + 0.318147 + 0.005 + 0.02) / 4, abs=1e-5)
    assert kl_e[0].item() == pytest.approx((math.log(4) + math.log(4 / 3) + math.log(4)) / 4, abs=1e-5)  # not frame 1
    # the static prior receives gradient: of 2 (x_2 - x_1)², x_1 gets -0.4 beside -1.9 from its own change prior
    (gradient,) = torch.autograd.grad(4 * kl_s[1], x[1])
    torch.testing.assert_close(gradient, sequence(-1.9 - 0.4, 0.4, 0.1 - 0.4, 0.4))


def test_vade_worked_by_hand():
    hierarchy = by_hand([(0.5, 1.0), (1.9, 1.0)], logit=math.log(3), vade=True)
    static, moved = 0.02, 0.318147 + 1.62
    q = 1 / (1 + math.exp(-(static - moved + math.log(3))))  # Eq. 34
    for uniform, changes in ((q + 0.01, False), (q - 0.01, True)):
        q_e, change, _, (kl_s, kl_e) = follow(hierarchy, [sequence(0, 1), sequence(0, 0.1)], uniform)
        assert q_e[0, :, 1].tolist() == pytest.approx([1, q], abs=1e-5)
        assert change[0, 1, 1].item() == changes
        assert kl_s[1].item() == pytest.approx((0.318147 + 1.805 + (1 - q) * static + q * moved) / 2, abs=1e-5)  # Eq. 9
        divergence = q * math.log(q / 0.75) + (1 - q) * math.log((1 - q) / 0.25)
        assert kl_e[0].item() == pytest.approx(divergence / 2, abs=1e-5)


def test_algorithm_1_worked_by_hand():
    # Equal deviations: a level takes the component whose mean is nearer, the last posterior's or the change prior's.
    hierarchy = by_hand([(0.0, 0.5), (10.0, 0.5), (5.0, 0.5)], logit=0.0, sees_context=True)
    x = [sequence(0, 0, 0, 0, 0), sequence(0, 1, 5.8, 3.9, 12), sequence(0, 5, -2, 7, 4)]
    _, change, paths, (kl_s, kl_e) = follow(hierarchy, x)
    # 1 all change: s^3 = 0, s^2 = 0 + 0
    # 2 candidate 1 + 0: 0 is nearer than 10, static. Level 3 is blocked: x^3 = 5 would be a change, but s^3 stays 0
    # 3 candidate 5.8 + 0 (Eq. 25: level 3 as it was): 10 is nearer than 1, change. Level 3: -2 is nearer to 0 than 5,
    #   static, with a fresh posterior: s^3 = -2, so s^2 = 5.8 - 2, which alone would have been static
    # 4 candidate 3.9 - 2: 3.8 is nearer, static; level 3 is blocked
    # 5 candidate 12 - 2: 10, change. Level 3: 4 is nearer to 5 than to -2, change: s^3 = 4, s^2 = 12 + 4
    assert change[0, :, 1:].int().tolist() == [[1, 1], [0, 0], [1, 0], [0, 0], [1, 1]]
    s_2, s_3 = (path.rows.spread(path.s).flatten().tolist() for path in paths[1:])
    assert s_2 == pytest.approx([0, 1, 3.8, 1.9, 16])
    assert s_3 == pytest.approx([0, 0, -2, -2, 4])
    assert len(paths[2].s) == 3  # a blocked level computes nothing
    assert kl_s[1].item() == pytest.approx(2 * (10**2 + 1**2 + 6.2**2 + 1.9**2 + 6**2) / 5, rel=1e-5)
    assert kl_s[2].item() == pytest.approx(2 * (5**2 + 2**2 + 1**2) / 5, rel=1e-5)
    assert [kl.item() for kl in kl_e] == pytest.approx([4 * math.log(2) / 5, 2 * math.log(2) / 5])  # blocked: none


# ------------------------------------------------------------------------ the loss


@pytest.mark.parametrize(
    ("levels", "vade", "actions", "step"),
    [(2, False, 0, 10**6), (3, False, 3, 10**6), (4, False, 0, 5), (3, True, 0, 10**6), (2, True, 3, 5)],
)
def test_loss_and_gradients_equal_the_plain_loops(levels, vade, actions, step):
    ours: dict[str, Any] = {} if step > 5 else {"hold": 0.2, "factor_sees_below": not vade}
    model = build(levels=levels, vade=vade, actions=actions, dequantise=levels == 2, **ours)
    batch = colours(4, WINDOW)
    torch.manual_seed(1)
    losses = model.loss(batch, step)
    torch.manual_seed(1)
    found = plain(model, batch, step)
    share = found.change[:, 1:].float().mean((0, 1))
    assert ((share[1:] > 0.05) & (share[1:] < 0.95)).all()  # both components, at all levels
    assert losses.metrics["levels"].item() == pytest.approx(share.sum().item())
    for n, kl in enumerate(found.kl_s, 1):
        assert losses.metrics[f"kl_s_{n}"].item() == pytest.approx(kl.item(), rel=1e-4)
    torch.manual_seed(1)
    # posteriors this narrow magnify rounding
    assert_same_losses(model, losses.terms, plain_loss(model, batch, step), losses.weights, 1e-4)


def test_nested_time_scales():
    for seed in range(2):
        model, batch = build(levels=4), colours(6, WINDOW, seed)
        torch.manual_seed(seed)
        found = plain(model, batch, 0)
        torch.manual_seed(seed)
        hierarchy, noise = model.hierarchy, torch.randn(6, WINDOW, 4, PATCH.state)
        x = hierarchy.bottom_up(model.encoder(plain_floats(batch)))
        codes, start = hierarchy.codes(batch.action[:, :-1]), (torch.arange(WINDOW) == 0).expand(6, -1)
        q_e, change = hierarchy.select(x, codes, start, noise)
        assert torch.equal(change, found.change)
        assert change[:, 0].all()
        assert change[..., 0].all()
        assert not (change[..., 1:] & ~change[..., :-1]).any()  # Eq. 5
        assert not q_e[..., 1:][~change[..., :-1]].any()
        s = torch.stack([path.rows.spread(path.s) for path in hierarchy.paths(x, codes, start, change, noise)], 2)
        kept = (s[:, 1:] == s[:, :-1]).all(-1)
        assert torch.equal(kept[..., 1:], ~change[:, 1:, :-1])  # anew exactly where the level below changes
        assert not kept[..., 0].any()


def plain_floats(batch: Batch) -> Tensor:
    return to_float(batch.observation).contiguous()


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize("vade", [False, True])
def test_every_parameter_receives_a_gradient(sizes, vade):
    model = build(sizes, vade=vade)
    torch.manual_seed(1)
    model.loss(colours(4, model.window_length), 0).total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_golden_losses(monkeypatch):
    """Nothing random: weights, frames and noise are sines. world_models/reference/dlh.py computed the values."""
    model = build(actions=0)
    with torch.no_grad():
        for number, value in enumerate(model.parameters()):
            value.copy_(sines(value.shape, number) / max(value.shape[-1], 2) ** 0.5)
        model.encoder.module[-2].weight.mul_(6)  # type: ignore
        for level in model.hierarchy.levels:
            level.post.net[0].weight.mul_(4)  # type: ignore
            level.post.net[-1].bias[PATCH.state :] = -4.0  # type: ignore
            if hasattr(level, "encode"):
                level.encode[-1].weight.mul_(4)  # type: ignore
    shade = (sines((2, WINDOW, 1, 1, 3), 1) * 127 + 128).to(torch.uint8)
    batch = colours(2, WINDOW)._replace(observation=shade.expand(-1, -1, FRAME, FRAME, -1).contiguous())
    monkeypatch.setattr(torch, "randn", lambda *size, **_: sines(size, 2))
    losses = model.loss(batch, 0)
    assert losses.metrics["levels"].item() == pytest.approx(GOLDEN["levels"])
    for name, term in losses.terms.items():
        assert term.item() == pytest.approx(GOLDEN[name], rel=1e-4), name


GOLDEN = {"levels": 1.0, "image": 833.71655, "kl_s": 15.548973, "kl_e": 0.660101}


def sines(shape: Any, phase: int) -> Tensor:
    count = math.prod(shape)
    return torch.sin(torch.arange(count, dtype=torch.float64) * 1.7 + phase).float().view(tuple(shape))


def test_weights_of_the_divergences_rise_over_ten_thousand_steps():
    model = build()
    batch = colours(2, WINDOW)
    for step, weight in ((0, 1e-4), (4_999, 0.5), (9_999, 1.0), (50_000, 1.0)):
        losses = model.loss(batch, step)
        assert losses.weights == pytest.approx({"image": 1, "kl_s": weight, "kl_e": weight, "goal": 1})
    bound = sum(losses.terms[name].item() for name in ("image", "kl_s", "kl_e"))
    assert losses.metrics["nelbo"].item() == pytest.approx(bound)


def test_upper_levels_are_held_less_and_less_and_only_while_training():
    model, batch = build(levels=3, hold=1.0, hold_steps=100), colours(6, WINDOW)

    def levels(step):
        torch.manual_seed(0)
        return model.loss(batch, step).metrics["levels"].item()

    free = levels(100)
    assert levels(0) == 1  # level 1 alone
    assert 1 < levels(50) < free
    assert levels(1000) == free > 1.2
    model.eval()
    assert levels(0) == levels(1000) > 1.2


def test_image_term_is_in_nats_of_a_normal_with_the_options_deviation():
    values = []
    for sigma in (0.5, 1.0):
        torch.manual_seed(2)
        values.append(build(sigma=sigma).eval().loss(colours(2, WINDOW), 0).terms["image"].item())
    assert values[0] == pytest.approx(4 * values[1], rel=1e-5)


# ------------------------------------------------------------------------ steps and sequences


def last_state(paths: list[LevelPath], t: int) -> DLHState:
    """The belief at one frame of a sequence."""
    s, context = (
        torch.stack([path.rows.spread(getattr(path, name))[:, t] for path in paths], 1) for name in ("s", "context")
    )
    d = torch.stack([path.d[:, t] for path in paths], 1)
    return DLHState(s, d, context, torch.stack([path.memory[:, t] for path in paths[1:]], 1))


@pytest.mark.parametrize("sees_below", [False, True])
def test_steps_equal_the_sequence(sees_below):
    model, batch = build(factor_sees_below=sees_below), colours(3, WINDOW)
    hierarchy, noise = model.hierarchy, torch.randn(3, WINDOW, 3, PATCH.state)
    x = hierarchy.bottom_up(model.encoder(plain_floats(batch)))
    codes, start = hierarchy.codes(batch.action[:, :-1]), (torch.arange(WINDOW) == 0).expand(3, -1)
    _, change = hierarchy.select(x, codes, start, noise)
    paths = hierarchy.paths(x, codes, start, change, noise)
    for t in range(1, WINDOW):
        before, now = last_state(paths, t - 1), last_state(paths, t)
        ahead = hierarchy.ahead(before, batch.action[:, t - 1])
        ticked, logit = hierarchy.tick(before, ahead)
        stepped = hierarchy.change(ticked._replace(s=now.s), ahead, change[:, t], torch.zeros_like(now.s))
        for name, one, other in (
            ("ahead", ahead, torch.stack([path.ahead[:, t] for path in paths], 1)),
            ("logit", logit, torch.stack([path.logit[:, t] for path in paths[1:]], 1)),
            ("memory", stepped.memory, now.memory),
            ("d", stepped.d, now.d),
        ):
            assert_close(one, other, f"{name} at {t}")
        context = hierarchy.level(2).decode(now.s[:, 2], now.context[:, 2])
        assert_close(context, now.context[:, 1], f"context at {t}")


@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes).eval()
    x, a = plain_colours(3, 8)
    alone = model.observe(x[:, 8 - length :], a[:, 8 - length : 7], lengths(3, length))  # no padding at all
    for filling in (0.0, 1.0, -1e3):
        padded_x, padded_a = x.clone(), a[:, :7].clone()
        padded_x[:, : 8 - length] = filling
        padded_a[:, : 8 - length] = 2
        padded = model.observe(padded_x, padded_a, lengths(3, length))
        for one, other in zip(alone, padded, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
    if length > 2:
        shorter = model.observe(x, a[:, :7], lengths(3, length - 1))
        assert (shorter.d - alone.d).abs().max() > 1e-3  # the frames that count do count


def test_rows_of_a_batch_do_not_touch_each_other():
    model = build().eval()
    x, a = plain_colours(4, 8)
    goal = random_frames(4, 1)[0][:, 0, :, :3, :3]
    length = torch.tensor([1, 3, 6, 8])

    def everything(rows: slice) -> list[Tensor]:
        state = model.imagine(model.observe(x[rows], a[rows, :7], length[rows]), a[rows, 7])
        answers = [model.feature(state), model.goal_feature(goal[rows]), model.legal(state).float()]
        return [*state, *answers, model.decode(state), model.segment(x[rows], a[rows])]

    together = everything(slice(4))
    for row in range(4):
        for one, all_rows in zip(everything(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(one[0], all_rows[row], rtol=1e-4, atol=1e-4)


def test_subsequences_end_one_frame_before_the_second_level_changes():
    model = build().eval()
    x, a = plain_colours(4, 9)
    q = model.infer(x, a).q
    assert 0.1 < q[:, 1:, 1].mean() < 1
    assert torch.equal(model.segment(x, a), torch.cat([q[:, 1:, 1], torch.zeros(4, 1)], 1))
    p = model.infer(x, a).p
    assert ((p[..., 1:] > 0) & (p[..., 1:] < 1)).all()
    assert (p[..., 0] == 1).all()


def test_reconstruction_leaves_the_context_out():
    model = build().eval()
    x, a = plain_colours(2, WINDOW)
    rebuilt, change = model.reconstruct(x, a)
    assert rebuilt.shape == (2, WINDOW - 4, 3, FRAME, FRAME)
    assert torch.equal(change, model.infer(x, a).q[:, 4:, 1])


# ------------------------------------------------------------------------ building and training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("levels=1", "option levels must be 2 or more, got 1: one level is a rssm"),
        ("hold=1.5", "option hold must be from 0 to 1, got 1.5"),
        ("vade=true factor_sees_below=true", "options vade and factor_sees_below exclude each other"),
        ("jump_level=4", "option jump_level must be one of the 3 levels, got 4"),
        ("window=20", "option context must be less than the window of 20 frames, got 30: shorten it or lengthen"),
    ],
)
def test_wrong_options_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        override(DLHOptions(), change.split())


def test_built_by_its_name():
    model: Any = build_model("dlh", "paper", "paper", 64, actions=0)
    assert model.config == DLHConfig(PAPER, DLHOptions(), 64, 0)
    assert not hasattr(model, "goals")
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(7e6, rel=0.05)  # as the paper says
    with pytest.raises(ValueError, match="unknown variant 'vta' of dlh: choose one of paper, ours"):
        build_model("dlh", "quick", "vta", 32)
    recipe = RECIPES["dlh", "paper"]
    assert (recipe.batch_size, recipe.learning_rate, recipe.epsilon, recipe.amsgrad) == (100, 5e-4, 1e-4, False)


def test_trains_on_moving_ball_evaluates_resumes_and_loads(tmp_path):
    make_videos(VideosConfig(tmp_path / "data", "moving-ball", sequences=20, length=20))
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=4)
    config = TrainConfig(
        tmp_path / "data",
        tmp_path / "run",
        "dlh",
        options=("window=10", "context=4", "levels=2"),
        steps=2,
        batch_size=2,
        device="cpu",
        evaluation=evaluation,
    )
    train(replace(config, pause_after=1))
    train(replace(config, resume=True))
    model, meta = load_model(config.out)
    assert (meta["step"], meta["run"]["variant"]) == (2, "ours+levels=2+window=10+context=4")
    assert meta["run"]["recipe"]["epsilon"] == 1e-4
    replay = Replay.open(config.data)
    scores = evaluate(model, replay, 2, CPU, evaluation)
    assert {"image", "kl_s", "kl_e", "kl_s_1", "kl_s_2", "levels", "boundary_f1"} <= set(scores)
    assert 0 <= boundary_scores(model, replay, CPU, 4)["boundary_f1"] <= 1
    batch = to_batch(replay.sample(np.random.default_rng(0), 2, 10), CPU)
    assert batch.action_mask.shape[-1] == 0
