"""Studies: what a layer keeps of a picture, and what each setting does."""
