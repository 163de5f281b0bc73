"""Everything around the science: the engine that every host calls, the command line, and the filter for GIMP."""
