"""Speed and memory against named baselines, both sides in one run. See ``python -m benchmarks``."""
