"""Video prediction and what a dynamic latent hierarchy learns of videos: the tables of Zakharov et al. 2022."""
