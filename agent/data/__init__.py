"""Data sets: how they are made, stored, verified and read in batches."""
