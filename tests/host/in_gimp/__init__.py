"""What the host tests ask GIMP to do. These modules run in GIMP's own Python, with the folder tests/host on its path.

Pictures travel as float32 arrays or bytes, everything else as plain values; images, layers and other items are named
by their GIMP ids.
"""
