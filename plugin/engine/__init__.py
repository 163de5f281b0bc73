"""The engine that every host shares: trained styles, iterative painting, and pictures between host and network."""
