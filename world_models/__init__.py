"""World models: one file a paper, all behind the calls of `world_models.interface`."""
