"""Planners: search a world model's imagined trajectories for the action that leads to a goal."""
