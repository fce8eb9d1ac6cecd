"""Video prediction and what a dynamic latent hierarchy learns about videos: the tables of Zakharov et al. 2022."""
