"""Import networks that other programs trained."""
