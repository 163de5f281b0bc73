"""The filter's dialog and windows."""
