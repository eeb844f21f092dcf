"""A user's rows: a metric of pixels, and a network that scores.

What needs torch stands in a file of its own: this one is read by every job.
"""

from nsdrecon.metrics import DISTANCE, NetworkMetric, PixelMetric, Score


def brightness_gap(seen, made):
    """Difference of the pictures' mean brightness, 0 to 1."""
    return abs(float(seen.mean() - made.mean()))


METRICS = [
    PixelMetric("toy gap", ":brightness_gap", Score("lower", miss=1.0)),
    NetworkMetric("toy network", "toy_network.py:Projection", DISTANCE, size=16),
]
