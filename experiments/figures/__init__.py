"""Figures and tables of the results, rendered from committed numbers: `registry` lists them."""
