"""Paint films frame by frame: read and write them, and hold the strokes still. Never imports PyTorch."""
