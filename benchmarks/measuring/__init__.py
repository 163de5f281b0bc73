"""What the benchmarks share: command lines, machine rates, timing, memory, convolution costs and written records."""
