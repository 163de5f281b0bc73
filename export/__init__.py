"""From a trained network to a style file that needs no PyTorch."""
