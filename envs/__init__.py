"""The maze: layouts, dynamics, two views, and the Gymnasium environments.

Importing this package registers with Gymnasium:

| id | what it is |
|---|---|
| ``JumpyMaze-v0`` | the maze of the paper, or any other layout |
| ``JumpyMazeRandom-v0`` | a random map of the same size |
| ``JumpyMazePassages-v0`` | one step is one decision |
| ``JumpyMazeGoal-v0`` | goals for hindsight experience replay |
"""

from gymnasium.envs.registration import register

register("JumpyMaze-v0", "envs.maze:JumpyMaze", vector_entry_point="envs.vector:HallwayMazeVector")
register("JumpyMazeRandom-v0", "envs.maze:JumpyMazeRandom", vector_entry_point="envs.vector:HallwayMazeRandomVector")
register("JumpyMazePassages-v0", "envs.passages:JumpyMazePassages")
register("JumpyMazeGoal-v0", "envs.goal_maze:JumpyMazeGoal", vector_entry_point="envs.goal_maze:JumpyMazeGoalVector")
