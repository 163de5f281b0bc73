"""Studies: what a layer knows, and what each setting does."""
