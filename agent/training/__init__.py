"""Training: the loop, its checkpoints, evaluation on the test split, pictures for TensorBoard."""
