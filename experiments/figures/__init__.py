"""Figures of the results, drawn from committed numbers: `registry` lists them, `numbers` reads and writes them."""
