"""Measurements of speed; `table` shows them side by side."""
