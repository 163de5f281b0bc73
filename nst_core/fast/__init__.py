"""Train the feed-forward network that paints in one pass (Johnson et al. 2016)."""
