"""LMC-Memory: its parts against numbers worked by hand and plain loops, its two phases, and its contexts."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.tiny import FRAME, assert_close, random_batch, random_frames
from world_models.blocks.images import to_float
from world_models.interface import ModelConfig
from world_models.lmc_memory import ConvLSTM, Gate, LMCMemory, LMCMemoryOptions, LMCMemorySizes, Motion, recall
from world_models.registry import build_model

TINY = LMCMemorySizes(channels=8, layers=2, memory=16, slots=5, gate=3)
SHORT = LMCMemoryOptions(context=9, predicted=4, long=11, first_steps=3, first_predicted=2)


def build(**changes: Any) -> LMCMemory:
    torch.manual_seed(0)
    return LMCMemory(ModelConfig(TINY, replace(SHORT, **changes), FRAME, 0))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# ------------------------------------------------------------------------ sizes


def test_paper_sizes_have_the_published_number_of_parameters():
    """33.9 million in training, 20.4 million at test, where the encoder of the long sequence is not used."""
    model: Any = build_model("lmc-memory", "paper", "paper", 64, actions=0)
    trained = sum(parameter.numel() for parameter in model.parameters())
    left_out = sum(parameter.numel() for parameter in model.long_motion.parameters())
    assert (trained, trained - left_out) == (33_909_777, 20_414_097)


def test_the_long_encoder_starts_as_a_copy_of_the_other():
    model = build()
    for name, value in model.motion.state_dict().items():
        assert torch.equal(value, model.long_motion.state_dict()[name])
    assert not {id(value) for value in model.motion.parameters()} & {id(v) for v in model.long_motion.parameters()}


# ------------------------------------------------------------------------ parts


def test_convlstm_by_hand():
    """One pixel, whose neighbours are padding: the kernel's centre alone counts. x = 2, h = -1, c = 0.5."""
    cell = ConvLSTM(1, 1)
    with torch.no_grad():
        cell.gates.weight.fill_(100)  # of neighbours, which are 0
        # for x and for h: input, forget and output gate, candidate
        cell.gates.weight[:, :, 1, 1] = torch.tensor([[0.5, 1.0], [-0.25, 0.5], [1.0, 2.0], [0.3, 0.1]])
        cell.gates.bias[:] = torch.tensor([0.1, 0.2, -0.3, 0.4])  # type: ignore[index]
    h, c = cell(*(torch.full((1, 1, 1, 1), value) for value in (2.0, -1.0, 0.5)))
    write, keep, show = sigmoid(0.5 * 2 - 1.0 + 0.1), sigmoid(-0.25 * 2 - 0.5 + 0.2), sigmoid(2.0 - 2.0 - 0.3)
    expected = keep * 0.5 + write * math.tanh(0.3 * 2 - 0.1 + 0.4)
    assert c.item() == pytest.approx(expected)
    assert h.item() == pytest.approx(show * math.tanh(expected))


def test_memory_is_read_by_the_softmax_of_cosines():
    """Plain loops over places and slots, and one place by hand: cosines 1, 0 and -1 whatever the lengths are."""
    torch.manual_seed(0)
    query, slots = torch.randn(2, 4, 3, 2), torch.randn(5, 4)
    read = recall(query, slots)
    for b, y, x in np.ndindex(2, 3, 2):
        q = query[b, :, y, x].numpy()
        cosine = [q @ slot / np.linalg.norm(q) / np.linalg.norm(slot) for slot in slots.numpy()]
        weight = np.exp(cosine) / np.exp(cosine).sum()
        expected = sum(w * slot for w, slot in zip(weight, slots.numpy(), strict=True))
        np.testing.assert_allclose(read[b, :, y, x], expected, rtol=1e-4, atol=1e-5)
    slots = torch.tensor([[5.0, 0.0], [0.0, 0.1], [-2.0, 0.0]])
    read = recall(torch.tensor([0.3, 0.0]).view(1, 2, 1, 1), slots).flatten()
    e = math.e
    assert read.tolist() == pytest.approx([(5 * e - 2 / e) / (e + 1 + 1 / e), 0.1 / (e + 1 + 1 / e)])


def test_gate_multiplies_the_memorys_channels_by_what_both_hold_on_average():
    gate = Gate(2, 1)
    with torch.no_grad():
        for parameter, values in zip(gate.parameters(), ([[1, 2, 3, -4]], [0.5], [[2], [-1]], [0, 1]), strict=True):
            parameter.copy_(torch.tensor(values))
    c = torch.tensor([[1.0, 3.0], [0.0, 2.0]]).view(1, 2, 1, 2)  # means 2 and 1
    recalled = torch.tensor([[0.0, 1.0], [1.0, 2.0]]).view(1, 2, 1, 2)  # means 0.5 and 1.5
    hidden = max(0, 2 + 2 * 1 + 3 * 0.5 - 4 * 1.5 + 0.5)  # 0: see below
    assert hidden == 0
    gated = gate(c, recalled).flatten().tolist()
    assert gated == pytest.approx([0, 0.5, sigmoid(1), 2 * sigmoid(1)])
    with torch.no_grad():
        gate.first.bias.fill_(1.5)  # hidden: 1
    assert gate(c, recalled).flatten().tolist() == pytest.approx([0, sigmoid(2), sigmoid(0), 2 * sigmoid(0)])


@pytest.mark.parametrize(("frames", "expected"), [(9, 1), (16, 1), (17, 2), (30, 3)])
def test_motion_pools_time_to_its_mean(frames, expected):
    motion = Motion(1, 16)
    query = motion(torch.rand(2, frames, 1, 32, 32))
    assert query.shape == (2, 16, 2, 2)
    assert motion.layers(torch.rand(2, 1, frames - 1, 32, 32)).shape[2] == expected


def test_motion_sees_differences_only():
    motion, x = Motion(1, 16), torch.rand(1, 9, 1, 32, 32)
    torch.testing.assert_close(motion(x), motion(x + 0.25), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(motion(x), motion(x.flip(1)))


def test_prediction_equals_a_plain_loop():
    """Frame by frame: the context goes in first, then the model's own frames; each is drawn from [h, gated memory]."""
    model = build().eval()
    x, recalled = torch.rand(2, 9, 1, FRAME, FRAME), torch.rand(2, 8, 8, 8)
    frames: list[Tensor] = []
    states = [(torch.zeros(2, 8, 8, 8), torch.zeros(2, 8, 8, 8)) for _ in range(2)]
    for frame in x.unbind(1):
        states = through(model, frame, states)
    for _ in range(3):
        h, c = states[1]
        frames.append(model.decoder(torch.cat([h, model.gate(c, recalled)], 1)))
        states = through(model, frames[-1], states)
    torch.testing.assert_close(model.predict(x, recalled, 3), torch.stack(frames, 1))


def test_scheduled_sampling_reads_true_frames_less_and_less_often(monkeypatch):
    """At first each frame is predicted from true ones, as if the context were longer; half way some are its own."""
    model, x, recalled = build().eval(), torch.rand(64, 12, 1, FRAME, FRAME), torch.rand(64, 8, 8, 8)
    own, known = (model.predict(x[:, :9], recalled, 3, x[:, 9:], share) for share in (0.0, 1.0))
    longer = torch.cat([model.predict(x[:, :frames], recalled, 1) for frames in (9, 10, 11)], 1)
    torch.testing.assert_close(known, longer)
    mixed = model.predict(x[:, :9], recalled, 3, x[:, 9:], 0.5)[:, 1]
    same = [(mixed - frames[:, 1]).abs().amax((1, 2, 3)) < 1e-6 for frames in (own, known)]
    assert (same[0] ^ same[1]).all()
    assert 16 < same[0].sum() < 48
    shares, model = list[float](), build(scheduled_sampling=4)
    predict = model.predict

    def note(x: Tensor, recalled: Tensor, frames: int, truth: Tensor, share: float) -> Tensor:
        shares.append(share)
        return predict(x, recalled, frames, truth, share)

    monkeypatch.setattr(model, "predict", note)
    batch = random_batch(1, model.window_length)
    for step in (0, 1, 4):
        list(model.phases(batch, step))
    model.eval().loss(batch, 0)
    assert shares == [1, 1, 0.75, 0.75, 0, 0, 0]


def through(model: LMCMemory, frame: Tensor, states: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    below, after = model.encoder(frame), []
    for layer, (h, c) in zip(model.predictor, states, strict=True):
        after.append(layer(below, h, c))
        below = after[-1][0]
    return after


# ------------------------------------------------------------------------ phases


def gradients(model: LMCMemory) -> set[str]:
    return {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}


def test_slots_learn_from_the_long_sequence_alone():
    model = build()
    batch = random_batch(2, model.window_length)
    phases = model.phases(batch, 0)
    shared = {"encoder", "predictor", "embed", "gate", "decoder"}
    next(phases).total.backward()
    assert gradients(model) == {*shared, "long_motion", "slots"}
    model.zero_grad(set_to_none=True)
    losses = next(phases)
    losses.total.backward()
    assert gradients(model) == {*shared, "motion"}
    assert set(losses.metrics) == {"l1_long", "l2_long"}
    assert next(phases, None) is None


def test_each_phase_sees_its_part_of_the_window(monkeypatch):
    """Frames 1 to 11 of 13 are the long sequence, frames 1 to 9 the context."""
    model, seen = build(), list[Tensor]()

    def see(self: Motion, x: Tensor) -> Tensor:
        seen.append(x)
        return forward(self, x)

    forward = Motion.forward
    monkeypatch.setattr(Motion, "forward", see)
    batch = random_batch(1, model.window_length)
    list(model.phases(batch, 0))
    x = to_float(batch.observation).mean(2, keepdim=True) / 2 + 0.5
    for given, frames in zip(seen, (11, 9), strict=True):
        torch.testing.assert_close(given, x[:, :frames])


def test_first_steps_predict_fewer_frames_in_training_only(monkeypatch):
    model, asked = build(), list[int]()
    predict = model.predict

    def ask(x: Tensor, recalled: Tensor, frames: int, *truth: Any) -> Tensor:
        asked.append(frames)
        return predict(x, recalled, frames, *truth)

    monkeypatch.setattr(model, "predict", ask)
    batch = random_batch(1, model.window_length)
    for step in (2, 3):
        list(model.phases(batch, step))
    assert asked == [2, 2, 4, 4]
    model.eval().loss(batch, 0)
    assert asked[-1] == 4


def test_loss_is_the_mean_error_of_a_pixel(monkeypatch):
    model = build(predicted=2, long=9).eval()
    monkeypatch.setattr(model, "predict", lambda x, recalled, frames, *truth: torch.zeros(1, 2, 1, FRAME, FRAME))
    observation = torch.zeros(1, 11, FRAME, FRAME, 3, dtype=torch.uint8)
    observation[:, 9, 0, 0] = 255  # level 31 of 32: 31.5 / 32; black is 0.5 / 32
    losses = model.loss(random_batch(1, 11)._replace(observation=observation), 9)
    pixels, white, black = 2 * FRAME * FRAME, 63 / 64, 1 / 64
    assert losses.terms["l1"].item() == pytest.approx((white + (pixels - 1) * black) / pixels, rel=1e-4)
    assert losses.terms["l2"].item() == pytest.approx((white**2 + (pixels - 1) * black**2) / pixels, rel=1e-4)


# ------------------------------------------------------------------------ contexts


@pytest.mark.parametrize("length", [9, 12])
def test_padding_and_what_came_before_the_context_change_nothing(length):
    model = build().eval()
    x, a = random_frames(3, 14)
    lengths = torch.tensor([length, 9, 14])
    frames, _ = model.generate(x, a[:, 1:], lengths, a[:, :5])
    assert frames.shape == (3, 5, 3, FRAME, FRAME)
    padded = x.clone()
    padded[:, :5] = float("nan")
    torch.testing.assert_close(model.generate(padded, a[:, 1:], lengths, a[:, :5])[0], frames)
    alone, _ = model.generate(x[:1, -9:], a[:1, -8:], torch.tensor([9]), a[:1, :5])
    torch.testing.assert_close(frames[:1], alone)
    torch.manual_seed(1)
    assert torch.equal(model.generate(x, a[:, 1:], lengths, a[:, :5])[0], frames)  # whatever the random numbers


def test_rows_of_different_lengths_are_read_by_themselves():
    model = build(context=11).eval()
    x, a = random_frames(3, 12)
    lengths = torch.tensor([10, 12, 10])
    together, _ = model.generate(x, a[:, 1:], lengths, a[:, :3])
    for row, length in enumerate(lengths):
        alone, _ = model.generate(x[row : row + 1, -length:], a[:1, -length + 1 :], length[None], a[:1, :3])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_fewer_frames_than_the_query_needs_are_named():
    model, (x, a) = build().eval(), random_frames(1, 9)
    with pytest.raises(ValueError, match=r"at least 9 frames, got 8"):
        model.generate(x, a[:, 1:], torch.tensor([8]), a[:, :2])


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_grey_or_coloured(channels):
    model = build(channels=channels).eval()
    x, a = random_frames(1, 9)
    frames, _ = model.generate(x, a[:, 1:], torch.tensor([9]), a[:, :2])
    assert torch.equal(frames[:, :, 0], frames[:, :, 1]) == (channels == 1)
    assert frames.abs().max() <= 1


@pytest.mark.parametrize("frames", [9, 10, 13, 21])
def test_gradients_of_motion_in_bfloat16_are_those_in_float32(frames):
    """On some CPUs bfloat16 left them to what the memory held before, where two steps of time remain."""
    torch.manual_seed(0)
    motion, x = Motion(1, 16), torch.rand(2, frames, 1, 32, 32)
    found = []
    for bf16 in (False, True):
        used = [torch.full((size,), 1e30) for size in (10**3, 10**4, 10**5, 10**6)]  # what the memory holds
        del used
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            query = motion(x).float()
        found.append(torch.autograd.grad(query.sum(), list(motion.parameters())))
    for plain, low in zip(*found, strict=True):
        assert_close(low, plain, "gradient", 0.5)  # rounding moves maxima that are pooled


def test_both_phases_lower_the_loss():
    model = build()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    batch = random_batch(2, model.window_length)
    batch.observation[:] = 200
    totals = []
    for _ in range(10):
        for losses in model.phases(batch, 0):
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()
            optimiser.step()
            totals.append(losses.total.item())
    assert totals[-1] < 0.5 * totals[0]
