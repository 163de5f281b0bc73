"""Train the transformer network, which paints a photo in one pass (Johnson et al. 2016)."""
