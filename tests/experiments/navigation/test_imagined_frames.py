"""Whether the rows about imagined frames say what is drawn."""

import numpy as np
import pytest
import torch
from torch import Tensor

from envs.camera import Camera
from envs.dynamics import ARRIVED, EAST, TURNED, WEST, Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.navigation import imagined_frames as module
from experiments.navigation.imagined_frames import (
    all_frames,
    first_frames,
    frame_accuracy,
    full_generation,
    imagined_frames,
)
from experiments.navigation.jump_accuracy import arrivals, pass_on
from tests.support.hrssm_models import build
from world_models.blocks.images import to_float
from world_models.hrssm.hrssm import HRSSM, HRSSMState

LAYOUT, CAMERA = Layout.paper(), Camera()
DYNAMICS, VIEW = Dynamics.of(LAYOUT), Raycaster(Layout.paper(), CAMERA.size, CAMERA.fov_degrees)


def drawn(pose: np.ndarray) -> np.ndarray:
    return VIEW.render(pose.astype(np.int16), np.zeros((len(pose), 3), np.float32))


class Painter(HRSSM):
    """Knows the maze and paints it: z holds the pose after a passage. `wrong` shows the next passage's hallway."""

    wrong = False

    def observe(self, x: Tensor, a: Tensor, length: Tensor) -> HRSSMState:
        pose = torch.from_numpy(np.repeat(arrivals(LAYOUT), len(x) // len(arrivals(LAYOUT)), axis=0)).float()
        return HRSSMState(pose, torch.zeros(len(x), 1))

    def imagine(self, state: HRSSMState, action: Tensor, sample: bool = False) -> HRSSMState:
        assert sample
        arrival = np.where(state.c.numpy() > 0, self.ends(state.z), state.z.numpy()).astype(np.int16)
        first, _ = DYNAMICS.step(arrival, action.numpy())
        return HRSSMState(torch.from_numpy(first).float(), torch.ones_like(state.c))

    def ends(self, z: Tensor) -> np.ndarray:
        """The next arrivals."""
        pose = z.numpy().astype(np.int16)
        while not DYNAMICS.passage(pose).all():
            after, _ = DYNAMICS.step(pose, DYNAMICS.action_mask(pose).argmax(1))
            pose = np.where(DYNAMICS.passage(pose)[:, None], pose, after)
        return pose

    def decode(self, state: HRSSMState, sample: bool = False) -> Tensor:
        assert sample
        pose = state.z.numpy()
        if self.wrong:
            arrival = self.ends(state.z)
            pose, _ = DYNAMICS.step(arrival, DYNAMICS.action_mask(arrival).argmax(1))
        return to_float(torch.from_numpy(drawn(pose)[:, None]))[:, 0]

    def generate(
        self, x: Tensor, a: Tensor, length: Tensor, actions: Tensor, mode: str = "full"
    ) -> tuple[Tensor, Tensor]:
        pose, used = np.repeat(arrivals(LAYOUT), len(x) // len(arrivals(LAYOUT)), axis=0), np.zeros(len(x), int)
        frames, start = [], []
        for _ in range(20):
            passes = DYNAMICS.passage(pose)
            chosen = actions.numpy()[np.arange(len(pose)), used.clip(max=actions.shape[1] - 1)]
            pose, _ = DYNAMICS.step(pose, np.where(passes, chosen, DYNAMICS.action_mask(pose).argmax(1)))
            frames.append(drawn(pose))
            start.append(passes)
            used += passes
        return to_float(torch.from_numpy(np.stack(frames, 1))), torch.from_numpy(np.stack(start, 1)).float()


def painter(wrong: bool = False) -> Painter:
    model = Painter(build().config)
    model.wrong = wrong
    return model


def test_whoever_paints_the_maze_is_right() -> None:
    assert frame_accuracy(painter(), LAYOUT, CAMERA, passages=3, samples=1) == [1.0] * 3
    shares = full_generation(painter(), LAYOUT, CAMERA, samples=1)
    assert shares["one_hallway"] > 0.98  # views of two hallways may differ by little
    assert shares["skips_hallway"] == shares["repeats_hallway"] == 0


def test_whoever_paints_the_next_hallway_is_wrong_but_where_a_passage_leads_back() -> None:
    (back,) = frame_accuracy(painter(wrong=True), LAYOUT, CAMERA, passages=1, samples=1)
    assert 0 < back < 0.1


def test_an_untrained_model_shows_no_hallway_rightly() -> None:
    rows = imagined_frames(build(window=8, l_max=3).eval(), LAYOUT, CAMERA, samples=1)
    assert list(rows) == [
        *(f"frame_accuracy_{k}" for k in range(1, 6)),
        "one_hallway",
        "skips_hallway",
        "repeats_hallway",
    ]
    assert all(rows[f"frame_accuracy_{k}"] < 0.2 for k in range(1, 6))
    assert rows["one_hallway"] < 0.2


def test_frames_with_jitter_show_their_hallway() -> None:
    pose = arrivals(LAYOUT)
    row, action = DYNAMICS.action_mask(pose).nonzero()
    first, _ = DYNAMICS.step(pose[row], action)
    _, hallway = pass_on(pose[row], action, LAYOUT)
    jitter = np.tile(np.array([[0.03, 0.02, -0.02]], np.float32), (len(first), 1))
    shown = first_frames(LAYOUT, CAMERA).shown(VIEW.render(first, jitter))
    assert (shown.sum(1) == 1).all()
    assert shown[np.arange(len(first)), hallway].mean() > 0.99


def test_a_view_is_of_the_hallway_inside_or_ahead_and_a_junctions_wall_of_any() -> None:
    # About the X junction in the upper left, and on arrival in the T junction to the right of it, from the west
    poses = [[5, 6, EAST, ARRIVED], [6, 6, EAST, ARRIVED], [6, 6, EAST, TURNED], [8, 6, EAST, ARRIVED]]
    shown = all_frames(LAYOUT, CAMERA).shown(drawn(np.array([*poses, [1, 6, WEST, ARRIVED]])))
    west, east = LAYOUT.hallway[6, 4], LAYOUT.hallway[6, 8]
    assert [row.nonzero()[0].tolist() for row in shown[:4]] == [[west], [east], [east], [east]]
    assert shown[4].all()


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([[0], [0], [1], [1], [1], [2]], [1, 0, 0]),
        ([[0], [1], [1], [1], [2], [2]], [1, 0, 0]),  # on arrival the next one is ahead
        ([[0, 1], [0], [1], [1, 2], [0, 1, 2, 3], [2]], [1, 0, 0]),  # some look alike
        ([[0, 1], [0, 2], [1], [1], [1], [2]], [1 / 2, 1 / 2, 0]),  # the first never shows 0 alone
        ([[0], [0], [0], [1], [1], [2]], [1 / 2, 0, 1 / 2]),  # the second begins with the first's hallway
        ([[0], [0], [2], [2], [2], [2]], [1 / 2, 1 / 2, 0]),  # it skips its own
        ([[0], [0], [1], [2], [2], [2]], [1 / 2, 0, 0]),  # it runs on into the next
        ([[3], [0], [1], [1], [1], [2]], [1 / 2, 0, 1 / 2]),  # the context's hallway again
    ],
)
def test_shares_of_subsequences_by_hand(shown: list[list[int]], expected: list[float]) -> None:
    # The context stood in 3; the passages lead to 0, 1 and 2; subsequences 0-1 and 2-4 end, the last does not
    may_show = np.zeros((1, 6, 4), bool)
    for frame, hallways in enumerate(shown):
        may_show[0, frame, hallways] = True
    start = np.array([[1, 0, 1, 0, 0, 1]]) > 0
    found = module._shares(may_show, start, np.array([[3, 0, 1, 2]]))
    assert list(found.values()) == pytest.approx(expected)


def test_a_passage_that_leads_back_repeats_nothing() -> None:
    may_show = np.zeros((1, 3, 4), bool)
    may_show[0, :, 3] = True  # a dead end: the context's hallway is the right one
    start = np.array([[True, False, True]])
    assert module._shares(may_show, start, np.array([[3, 3, 1]])) == {
        "one_hallway": 1.0,
        "skips_hallway": 0.0,
        "repeats_hallway": 0.0,
    }
    assert np.isnan(module._shares(may_show, start[:, ::-1] & False, np.array([[3, 3, 1]]))["one_hallway"])
