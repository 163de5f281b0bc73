"""Paint many pictures: list them, name their paintings, skip what is there, and say what failed."""
