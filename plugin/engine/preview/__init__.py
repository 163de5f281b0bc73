"""Preview a style on a small copy of a layer, or on a part of it."""
