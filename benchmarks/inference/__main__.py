"""Run the benchmark of inference."""

from benchmarks.inference.inference_command import main

if __name__ == "__main__":
    main()
