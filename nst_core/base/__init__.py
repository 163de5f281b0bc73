"""Shared by every other package: settings, presets, recipes, errors, language and files. Never imports PyTorch."""
