"""Goal navigation: agents, the benchmark, its numbers, and measurements built on it."""
