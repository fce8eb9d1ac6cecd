import numpy as np
import pytest

from agent.acting.agents import WorldModelAgent
from agent.acting.navigate import navigate
from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.common.trained_runs import load_trained
from experiments.navigation.agents import load_agents, load_runs
from experiments.navigation.imagining import Episode, Imaginer
from experiments.navigation.planning import Standard
from experiments.navigation.tasks import MazeTask
from world_models.interface import Plannable

LAYOUT, CAMERA, SEED = Layout.paper(), Camera(), 100_003


@pytest.fixture(scope="module")
def imaginer():
    return Imaginer(load_trained("pretrained", label="hrssm").able(Plannable), LAYOUT)


def test_an_episode_looked_at_closely_is_that_of_the_benchmark(imaginer):
    _, agent, _ = load_agents(
        load_runs(("hrssm=pretrained",), imaginer._device), Standard(), (), MazeTask(LAYOUT, CAMERA)
    )
    assert isinstance(agent.agent, WorldModelAgent)
    result = navigate(agent.agent, LAYOUT, [SEED], record=True)
    episode, view = Episode.of(LAYOUT, SEED), Raycaster(LAYOUT, CAMERA.size, CAMERA.fov_degrees)
    actions: list[int] = []
    spent = 0
    while True:
        poses = episode.poses(LAYOUT, actions)
        if tuple(poses[-1, :2].tolist()) == episode.goal:
            break
        legal = Dynamics.of(LAYOUT).action_mask(poses[-1:])[0].tolist()
        action = legal.index(1)
        if sum(legal) > 1:
            frames = episode.frames(view, CAMERA, poses, imaginer.model.context)
            found = imaginer.imagine(agent.agent.planner, frames, actions, episode.goal, legal)
            assert found.pictures.shape == (len(found.trajectory), 32, 32, 3)
            action, spent = found.action, spent + len(found.tree.parent)
        actions.append(action)
    assert (result["pose"][0, : len(poses)] == poses).all()
    assert (len(actions), spent) == (result["steps"][0], result["transitions"][0])


def test_a_jump_is_drawn_in_the_hallway_that_it_leads_to(imaginer):
    view = Raycaster(LAYOUT, CAMERA.size, CAMERA.fov_degrees)
    start = Episode(SEED, (9, 6, 0, 0), (1, 1))
    actions = [0] * 3
    poses = start.poses(LAYOUT, actions)
    legal = Dynamics.of(LAYOUT).action_mask(poses[-1:])[0].tolist()
    planner = Standard().of("hrssm").with_budget(3)
    found = imaginer.imagine(planner, start.frames(view, CAMERA, poses, 5), actions, (1, 1), legal)
    left, right = LAYOUT.hallway[5, 12], LAYOUT.hallway[6, 13]
    reached = dict(zip(found.tree.action.tolist(), found.hallway.tolist(), strict=True))
    assert reached[1] == left
    assert reached[0] == right


@pytest.mark.parametrize(
    ("episode", "actions", "message"),
    [
        (Episode(0, (3, 1, 0, 0), (1, 1)), [], "start must be a pose"),
        (Episode(0, (1, 2, 1, 0), (0, 0)), [], "free cell"),
        (Episode(0, (1, 2, 1, 0), (99, -1)), [], "free cell"),
        (Episode(0, (1, 2, 1, 0), (1, 2)), [], "another cell"),
        (Episode(0, (1, 2, 1, 0), (1, 3)), [1], "not legal"),
        (Episode(0, (1, 2, 1, 0), (1, 3)), [7], "not legal"),
        (Episode(0, (1, 2, 1, 0), (1, 3)), [0, 0], "has ended"),
    ],
)
def test_an_impossible_episode_is_an_error(episode, actions, message):
    with pytest.raises(ValueError, match=message):
        episode.check(LAYOUT)
        episode.poses(LAYOUT, actions)


def test_a_walk_in_a_driven_episode_is_foreseen_frame_by_frame(imaginer):
    episode, view = Episode(SEED, (9, 6, 0, 0), (1, 1)), Raycaster(LAYOUT, CAMERA.size, CAMERA.fov_degrees)
    poses = episode.poses(LAYOUT, [0, 0, 0, 1, 0, 0])
    frames = episode.frames(view, CAMERA, poses, 7)
    expected = imaginer.foreseen(frames[:4], [0, 0, 0], [1, 0, 0])
    off = np.abs(expected.astype(int) - frames[4:]).mean((1, 2, 3))
    wrong = np.abs(expected.astype(int) - frames[:1]).mean((1, 2, 3))
    assert (off < wrong).all()  # the hallway that it turns into, not the one that it came from
