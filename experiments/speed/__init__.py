"""Measurements of speed; `table` puts them into one table."""
