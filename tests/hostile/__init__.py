"""Long trials of robustness, which `make hostile` runs; their results stand in experiments/results/README.md."""
