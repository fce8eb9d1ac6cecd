"""Plain loops over the equations of each model: slow, short, and what the fast losses are tested against."""
