"""A user's backbone: Stable Diffusion with a U-Net that is told a colour besides the text."""

from dataclasses import replace

import torch

from nsdrecon.diffusion.stable_diffusion import StableDiffusion


class TintedDiffusion(StableDiffusion):
    """Conditioned on ``text`` and on ``colour``, (1, 3); unconditional is mid-grey."""

    @classmethod
    def describe(cls, folder):
        spec = super().describe(folder)
        return replace(spec, conditioning={**spec.conditioning, "colour": (1, 3)})

    @classmethod
    def load(cls, folder, **options):
        model = super().load(folder, **options)
        model.unet = TintedUNet(model.unet)
        model.unconditional["colour"] = torch.zeros(1, 1, 3)
        return model

    def condition(self, features):
        text, colour = (features[name].to(self.device, self.dtype) for name in ("text", "colour"))
        return {"encoder_hidden_states": text, "added_cond_kwargs": {"colour": colour[:, 0]}}


class TintedUNet(torch.nn.Module):
    """A U-Net whose prediction is shifted by the mean of a colour (n, 3)."""

    def __init__(self, unet):
        super().__init__()
        self.unet = unet
        self.dtype = unet.dtype

    def forward(self, latents, timestep, *, added_cond_kwargs, **arguments):
        (noise,) = self.unet(latents, timestep, **arguments)
        return (noise - added_cond_kwargs["colour"].mean(dim=1)[:, None, None, None],)
