"""Run the benchmark of everything on a GPU."""

from benchmarks.gpu.gpu_command import main

if __name__ == "__main__":
    main()
