"""Planners: search over what a world model imagines, for the action that leads to a goal."""
