"""The command line ``neural-style``: one of the engine's hosts."""
