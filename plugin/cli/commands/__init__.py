"""The commands, one module each: ``add_options`` adds its options, ``run`` does its work."""
