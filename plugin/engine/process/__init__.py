"""Run the engine in a process of its own, and keep it warm for the next plug-in."""
