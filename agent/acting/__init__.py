"""Acting: agents that observe, plan and act, over batches of episodes."""
