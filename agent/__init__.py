"""The agent: collects random navigation, keeps it in a replay, learns world models from it, acts by planning."""
