"""Train styles and feature networks, with previews, logs and checkpoints on disk."""
