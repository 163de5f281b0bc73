"""Run the benchmark of the styles' quality."""

from benchmarks.quality.quality_command import main

if __name__ == "__main__":
    main()
