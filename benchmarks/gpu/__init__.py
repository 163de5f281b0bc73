"""Train and measure what only an NVIDIA GPU can show: full budgets, speed, and the fall-back to the CPU."""
