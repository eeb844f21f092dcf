"""CLIP ViT-L/14 with random weights."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection


def clip_vit_l_14() -> CLIPVisionModelWithProjection:
    """The published vision tower, 303,966,208 parameters in half precision (608 MB)."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=768,
    )
    torch.set_default_dtype(torch.float16)
    try:
        return CLIPVisionModelWithProjection(config)
    finally:
        torch.set_default_dtype(torch.float32)
