"""Paint by optimisation (Gatys et al. 2015)."""
