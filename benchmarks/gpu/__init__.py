"""Everything that only an NVIDIA GPU can show: trainings at their full budget, speed, and the fall-back to the CPU."""
