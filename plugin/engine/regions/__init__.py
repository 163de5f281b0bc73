"""Paint each region of a picture in its own style: masks, their partition, and the composition of the paintings."""
