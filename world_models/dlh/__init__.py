"""DLH: the model of *Dynamic Latent Hierarchy*, its options, its levels and how they change."""
