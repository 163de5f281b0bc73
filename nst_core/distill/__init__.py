"""Train a small feature network to predict the features of a large one."""
