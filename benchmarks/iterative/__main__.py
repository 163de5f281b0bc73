"""Run the benchmark of iterative renders."""

from benchmarks.iterative.iterative_command import main

if __name__ == "__main__":
    main()
