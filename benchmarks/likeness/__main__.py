"""Run the benchmark of likeness."""

from benchmarks.likeness.likeness_command import main

if __name__ == "__main__":
    main()
