"""Feature networks: VGG's layers, their weights and where these come from."""
