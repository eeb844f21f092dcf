"""The published networks as metrics that do not bear the published names, for any weights.

A file of the kind that the setting ``extensions`` names.
"""

from dataclasses import replace

from nsdrecon import metrics


def renamed(name: str) -> str:
    """The column of a published network with random weights."""
    return f"{name}, random weights"


METRICS = [
    replace(row, name=renamed(row.name), sha256=(), published=False)
    for row in metrics.METRICS
    if isinstance(row, metrics.NetworkMetric) and row.protocol in (None, "brain-diffuser")
]
