"""A page on which one sees agents imagine, served on this machine only."""
