"""Data sets for other tools, and from them: Minari, HDF5, stable-worldmodel."""
