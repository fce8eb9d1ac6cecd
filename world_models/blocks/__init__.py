"""What the models are built of: networks, recurrences, Gaussians, frames and goals."""
