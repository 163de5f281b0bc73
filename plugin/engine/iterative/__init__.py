"""Paint in the style of any picture, in PyTorch, and estimate how long that takes."""
