"""The full configuration at its true sizes, without the real data.

See ``python -m benchmarks.rehearsal``.
"""
