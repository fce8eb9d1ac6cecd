"""HRSSM: the model of *Variational Temporal Abstraction*, its options, and where its subsequences end."""
