"""Building blocks of the models: networks, recurrences, Gaussians, frames and goals."""
