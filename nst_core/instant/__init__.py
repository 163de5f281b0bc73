"""Decoders that turn a feature network's activations back into pictures, for any picture as the style at once."""
