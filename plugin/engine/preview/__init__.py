"""Preview a style on a small copy of a layer."""
