"""CW-VAE against its equations and the plain loops of world_models/reference/cwvae.py."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agent.data.make_videos import VideosConfig, make_videos
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import load_model
from agent.training.train import train
from envs.videos import MovingBall
from experiments import cli
from tests.support.tiny import FRAME, assert_same_losses, random_batch, random_frames
from world_models.blocks.distributions import gaussian_kl
from world_models.blocks.images import to_float
from world_models.cwvae import CWVAE, PAPER, SIZES, CWVAEOptions, CWVAESizes, CWVAEState, Filtered
from world_models.interface import ModelConfig
from world_models.reference.cwvae import plain_loss
from world_models.registry import build_model

PATCH = CWVAESizes(images="patch", channels=8, embedding=10, belief=12, state=4)
CONVOLUTION = replace(PATCH, images="convolution", channels=6)
GOLDEN = (1006.3634, [12.83296, 2.759758, 0.4597948])  # image, kl_s of each level, in nats a frame
WINDOW = 23  # neither a multiple of 3 nor of 9: the last tick of the two upper levels has frames missing


def build(sizes: CWVAESizes = PATCH, **changes: Any) -> CWVAE:
    torch.manual_seed(0)
    options = CWVAEOptions(**{"window": WINDOW, "context": 5, "factor": 3} | changes)
    return CWVAE(ModelConfig(sizes, options, FRAME, 0))


def infer(model: CWVAE, x: Tensor, sample: bool = False) -> list[Filtered]:
    torch.manual_seed(5)
    return model.infer(model.encoder(x), torch.ones(x.shape[:2]), sample)


def random_state(model: CWVAE, clock: list[int]) -> CWVAEState:
    sizes, levels = model.config.sizes, model.config.options.levels
    b = len(clock)
    return CWVAEState(torch.randn(b, levels, sizes.belief), torch.randn(b, levels, sizes.state), torch.tensor(clock))


def no_actions(rows: int, frames: int) -> Tensor:
    return torch.zeros(rows, frames, dtype=torch.int64)


# ------------------------------------------------------------------------ the bound


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize(("levels", "factor"), [(1, 3), (2, 5), (3, 3), (3, 1)])
def test_loss_and_gradients_equal_the_plain_loops(sizes, levels, factor):
    model = build(sizes, levels=levels, factor=factor, sigma=0.5)
    batch = random_batch(3, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, 300)
    torch.manual_seed(1)
    assert_same_losses(model, losses.terms, plain_loss(model, batch, 300), losses.weights)


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_every_parameter_receives_a_gradient(sizes):
    model = build(sizes)
    torch.manual_seed(1)
    model.loss(random_batch(4, model.window_length), 0).total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_loss_is_the_bound_a_frame():
    model = build()
    batch = random_batch(2, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, 0)
    assert set(losses.weights.values()) == {1.0}
    assert losses.metrics["nelbo"].item() == pytest.approx(losses.total.item())
    x = to_float(batch.observation)
    torch.manual_seed(1)
    levels = model.infer(model.encoder(x), torch.ones(x.shape[:2]))
    assert [filtered.z.shape[1] for filtered in levels] == [23, 8, 3]  # ceil(23 / 3^l)
    for number, (level, filtered) in enumerate(zip(model.levels, levels, strict=True), 1):
        paid = gaussian_kl(filtered.q, level.prior(filtered.h))
        assert losses.metrics[f"kl_s_{number}"].item() == pytest.approx(paid.sum().item() / (2 * WINDOW), rel=1e-5)
    shares = [losses.metrics[f"kl_s_{number}"].item() for number in (1, 2, 3)]
    assert losses.terms["kl_s"].item() == pytest.approx(sum(shares))


def test_golden_loss_without_random_numbers(monkeypatch):
    """Weights, frames and noise are made of sines; the values are of 2026-11-22, when the plain loops gave the same."""
    model = build()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            wave = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) + number).view_as(parameter)
            parameter.copy_(wave * (2 / parameter.shape[-1]) ** 0.5)
    monkeypatch.setattr(torch, "randn", lambda *size, **_: sines(size[0] if isinstance(size[0], tuple) else size))
    batch = random_batch(2, WINDOW)
    x = (127.5 + 127 * sines(batch.observation.shape)).to(torch.uint8)
    losses = model.loss(batch._replace(observation=x), 0)
    assert losses.terms["image"].item() == pytest.approx(GOLDEN[0], rel=1e-5)
    kl = [losses.metrics[f"kl_s_{level}"].item() for level in (1, 2, 3)]
    assert kl == pytest.approx(GOLDEN[1], rel=1e-4)
    plain = plain_loss(model, batch._replace(observation=x), 0)
    assert plain["kl_s"].item() == pytest.approx(sum(kl), rel=1e-5)


def sines(size: tuple[int, ...]) -> Tensor:
    return torch.sin(torch.arange(int(np.prod(size)), dtype=torch.float64)).view(*size).float()


# ------------------------------------------------------------------------ clocks


def test_a_level_changes_at_its_ticks_only():
    """k = 3: level 2 changes with every third frame, level 3 with every ninth, whatever their rows' clocks are."""
    model = build()
    state = random_state(model, clock=[0, 1, 5])
    for _ in range(20):
        after = model.imagine(state, no_actions(3, 1)[:, 0])
        ticks = [[clock % period == 0 for period in (1, 3, 9)] for clock in state.clock.tolist()]
        for one, other in ((state.h, after.h), (state.z, after.z)):
            assert (one != other).any(-1).tolist() == ticks
        assert torch.equal(after.clock, state.clock + 1)
        state = after


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("frame", [4, 22])
def test_a_level_reads_the_frames_until_its_next_tick(levels, frame):
    model = build(levels=levels).eval()
    x, _ = random_frames(2, WINDOW)
    changed = x.clone()
    changed[:, frame] *= -1
    top = 3 ** (levels - 1)
    for number, (one, other) in enumerate(zip(infer(model, x), infer(model, changed), strict=True)):
        differs = (one.z != other.z).any(-1)
        first = frame // top * top // 3**number  # all levels read the top's state, which reads all frames of its tick
        assert differs.tolist() == [[tick >= first for tick in range(one.z.shape[1])]] * 2


def test_a_ticks_embedding_is_a_sum_over_its_frames_that_count():
    level = build().levels[1]
    level.embed = torch.nn.Identity()  # type: ignore[assignment]
    e = torch.arange(1.0, 8.0).view(1, 7, 1).expand(1, 7, 10)
    assert level.gather(e, torch.ones(1, 7))[0, :, 0].tolist() == [1 + 2 + 3, 4 + 5 + 6, 7]
    keep = torch.tensor([[1.0, 1, 1, 1, 1, 0, 0]])
    assert level.gather(e, keep)[0, :, 0].tolist() == [1 + 2 + 3, 4 + 5, 0]


@torch.no_grad()
def blind(model: CWVAE) -> CWVAE:
    """Make every posterior its prior, whatever the frames are."""
    for level in model.levels:
        (first, last), (p_first, p_last) = (
            [layer for layer in head.modules() if isinstance(layer, torch.nn.Linear)]
            for head in (level.post, level.prior)
        )
        first.weight[:, :12], first.weight[:, 12:] = p_first.weight, 0
        first.bias.copy_(p_first.bias)
        last.load_state_dict(p_last.state_dict())
    return model.eval()


@pytest.mark.parametrize("known", [1, 8, 9, 17])
def test_imagined_frames_are_the_losss_transition(known):
    """Where posteriors are priors, it does not matter how many frames are observed before imagining the others."""
    model = blind(build())
    x, a = random_frames(2, WINDOW)
    levels = infer(model, x)
    state = model.observe(x[:, :known], a[:, : known - 1], torch.full((2,), known))
    for t in range(known, WINDOW):
        state = model.imagine(state, a[:, t])
        for number, filtered in enumerate(levels):
            torch.testing.assert_close(state.h[:, number], filtered.h[:, t // 3**number])
            torch.testing.assert_close(state.z[:, number], filtered.z[:, t // 3**number])
            torch.testing.assert_close(filtered.q.mean, model.levels[number].prior(filtered.h).mean)


# ------------------------------------------------------------------------ contexts


@pytest.mark.parametrize("length", [1, 3, 10, 12])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes).eval()
    x, a = random_frames(3, 12)
    lengths = torch.full((3,), length)
    plain = model.observe(x[:, 12 - length :], a[:, 13 - length :], lengths)  # no padding at all
    for filling in (1.0, float("nan")):
        padded_x = x.clone()
        padded_x[:, : 12 - length] = filling
        padded = model.observe(padded_x, a[:, :11], lengths)
        for one, other in zip(plain, padded, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
        assert torch.equal(generate(model, padded_x, lengths, 2), generate(model, x, lengths, 2))
    if length > 1:
        shorter = model.observe(x, a[:, :11], lengths - 1)
        assert (shorter.z - plain.z).abs().amax((0, 2)).min() > 1e-3  # the frames that count do count, at every level


def test_rows_of_a_batch_have_clocks_of_their_own():
    model = build().eval()
    x, a = random_frames(4, 12)
    length = torch.tensor([1, 4, 9, 12])

    def everything(rows: slice) -> list[Tensor]:
        state = model.observe(x[rows], a[rows, :11], length[rows])
        for _ in range(10):
            state = model.imagine(state, a[rows, 11])
        return [*state, model.decode(state)]

    together = everything(slice(4))
    for row in range(4):
        for one, all_rows in zip(everything(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(one[0], all_rows[row], rtol=1e-4, atol=1e-5)


def test_the_paper_observes_one_tick_of_its_top_level():
    model: Any = build_model("cwvae", "quick", "paper", FRAME, actions=0)
    assert model.window_length == 100
    assert [level.period for level in model.levels] == [1, 6, 36]
    context = model.config.options.context
    x, a = random_frames(1, context)
    state = model.eval().observe(x, a[:, 1:], torch.tensor([context]))
    assert (state.clock % torch.tensor([1, 6, 36]) == 0).all()  # every level ticks with the next frame
    assert (PAPER.embedding, PAPER.belief, PAPER.state) == (1024, 200, 20)


# ------------------------------------------------------------------------ frames


@torch.no_grad()
def generate(model: CWVAE, x: Tensor, length: Tensor, frames: int = 7, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    drawn, start = model.eval().generate(x, no_actions(len(x), x.shape[1] - 1), length, no_actions(len(x), frames))
    assert start is None
    return drawn


def test_generates_one_frame_an_action():
    model = build()
    x, _ = random_frames(6, 5)
    length = torch.tensor([5, 5, 4, 3, 2, 1])
    frames = generate(model, x, length)
    assert frames.shape == (6, 7, 3, FRAME, FRAME)
    assert frames.abs().max() <= 1
    assert torch.equal(frames, generate(model, x, length))
    other = generate(model, x, length, seed=1)
    assert (frames != other).flatten(2).any(-1).all()
    assert torch.equal(frames[:, :4], generate(model, x, length, frames=4))  # the past is drawn before the future


@pytest.mark.parametrize("certain", ["prior", "post"])
def test_contexts_and_futures_are_both_sampled(certain):
    """Where either the priors or the posteriors have no variance left, the others still make futures differ."""
    model = build()
    with torch.no_grad():
        for level in model.levels:
            list(getattr(level, certain).parameters())[-1][4:] = -50  # the raw standard deviations' biases
    x, _ = random_frames(4, 5)
    one, other = (generate(model, x, torch.full((4,), 5), 2, seed) for seed in (0, 1))
    assert (one - other).abs().max() > 1e-2


def test_reconstructs_what_follows_the_context():
    model = build().eval()
    x, a = random_frames(2, WINDOW)
    torch.manual_seed(5)
    rebuilt, start = model.reconstruct(x, a)
    assert start is None
    assert rebuilt.shape == (2, WINDOW - 5, 3, FRAME, FRAME)
    lowest = infer(model, x, sample=True)[0]
    for t in (5, WINDOW - 1):
        state = CWVAEState(lowest.h[:, t : t + 1], lowest.z[:, t : t + 1], torch.full((2,), t + 1))
        torch.testing.assert_close(model.decode(state), rebuilt[:, t - 5])


# ------------------------------------------------------------------------ training and errors


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sequences of a moving ball."""
    folder = tmp_path_factory.mktemp("videos") / "ball"
    make_videos(VideosConfig(folder, MovingBall(), sequences=40, length=40))
    return folder


def test_trains_evaluates_resumes_and_loads(data, tmp_path):
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=4)
    options = ("window=20", "context=9", "factor=3")
    config = TrainConfig(
        data, tmp_path / "run", "cwvae", options=options, steps=3, batch_size=2, device="cpu", evaluation=evaluation
    )
    train(replace(config, pause_after=1))
    train(replace(config, resume=True))
    loaded, meta = load_model(config.out)
    assert (meta["step"], meta["run"]["variant"]) == (3, "paper+factor=3+window=20+context=9")
    assert loaded.config == ModelConfig(SIZES["quick"], CWVAEOptions(window=20, context=9, factor=3), FRAME, 0)
    x = torch.zeros(2, 9, 3, FRAME, FRAME)
    assert generate(loaded, x, torch.tensor([9, 4]), 11).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "episodes of 40 frames.*window.* 100"),
        ("--variant vta", "'vta' of cwvae.*paper"),
        ("--options window=30", "context.*window of 30 frames.*got 36"),
        ("--options levels=0", "levels.*1 or more.*got 0"),
        ("--options n_max=3", "'n_max'.*levels, factor, window, context, sigma"),
        ("--model rssm --variant paper", "'paper' of rssm.*vta, ours"),
    ],
)
def test_bad_input_is_one_line_and_status_2(data, tmp_path, capsys, arguments, message):
    run = ["train", "--model", "cwvae", "--data", str(data), "--out", str(tmp_path / "new")]
    assert cli.main([*run, *arguments.split()]) == 2
    line = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert len(line) == 1
    assert re.search(message, line[0])
    assert not (tmp_path / "new" / "checkpoint.safetensors").exists()


def test_data_with_actions_is_an_error():
    with pytest.raises(ValueError, match=r"cwvae.*3 actions"):
        build_model("cwvae", "quick", "paper", FRAME)
