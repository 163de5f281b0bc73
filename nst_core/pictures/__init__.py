"""Pictures as tensors: resizing, random views, photos to learn from."""
