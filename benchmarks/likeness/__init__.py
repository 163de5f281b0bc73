"""Measure what a trained style keeps of the photo, faces first, and what it takes from its painting."""
