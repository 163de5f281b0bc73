"""The engine that every host shares: trained styles, the iterative way, and pictures between host and network."""
