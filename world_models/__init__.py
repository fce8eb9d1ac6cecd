"""World models, one module or package per paper, all with the calls of `world_models.interface`."""
