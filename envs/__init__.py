"""The maze: layouts, dynamics, two views, and the Gymnasium environments."""
