"""The maze: layouts, dynamics, two views, and the Gymnasium environments.

Importing this package registers ``JumpyMaze-v0`` and ``JumpyMazeRandom-v0`` with Gymnasium.
"""

from gymnasium.envs.registration import register

register(
    id="JumpyMaze-v0",
    entry_point="envs.maze:JumpyMaze",
    vector_entry_point="envs.vector:HallwayMazeVector",
)
register(id="JumpyMazeRandom-v0", entry_point="envs.maze:JumpyMazeRandom")
