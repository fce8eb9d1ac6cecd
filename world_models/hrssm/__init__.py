"""HRSSM: the model of *Variational Temporal Abstraction*, its options, and its boundaries."""
