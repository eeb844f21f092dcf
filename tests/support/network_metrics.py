"""Metrics of small networks, and the features that they see."""

from nsdrecon.evaluation.networks import FeatureExtractor
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.metrics import CLIP_MEAN, CLIP_STD, NetworkMetric, configured_metrics


def metric_of(source, weights, name="small", **fields):
    return NetworkMetric(
        name, f"nsdrecon.evaluation.networks:{source}", weights=str(weights), **fields
    )


def clip_metric(name, folder, **fields):
    return metric_of("clip", folder, name, mean=CLIP_MEAN, std=CLIP_STD, **fields)


def pixels_and(*networks):
    return [*configured_metrics("brain-diffuser", []), *networks]


def extract(metrics, images, name="brain-diffuser", **options):
    found = FeatureExtractor(metrics, protocol(name))(images, len(images), **options)
    return {name: features.numpy() for name, features in found.items()}
