"""The page in the browser: painting without GIMP or a command line."""
