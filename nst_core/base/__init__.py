"""What everything shares and nothing here needs PyTorch for: settings, recipes, errors, language, files."""
