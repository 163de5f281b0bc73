"""What every other package uses: settings, presets, recipes, errors, language and files. Never imports PyTorch."""
