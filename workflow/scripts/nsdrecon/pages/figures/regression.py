"""How well the brain predicts: accuracy of the regressions, noise ceilings of voxels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.pages.figures.drawing import COLOURS, GREY, evenly, figure_file
from nsdrecon.systems import STAGE1

_SCORE = "loo_correlation_mean"


def regression_figure(
    scores: Mapping[str, pd.DataFrame], output: str | Path, *, subject: str
) -> str:
    """Cross-validated accuracy of the regressions, part by part of each feature space.

    Parameters
    ----------
    scores
        Feature name to table of :func:`nsdrecon.ridge.scores.scores_table`: a row for the part
        ``all`` and one for each part (a layer, a token), if there are any.
    output
        Image file.
    subject
        For the caption.

    Returns
    -------
    The caption, with the score of each whole feature space.
    """
    wholes = []
    across, down = min(len(scores), 2), -(-len(scores) // 2)
    with figure_file(output, (0.8 + 3 * across, 2.3 * down)) as figure:
        panels = figure.subplots(down, across, squeeze=False, sharey=True)
        for panel in panels.flat[len(scores) :]:
            panel.set_visible(False)
        for panel, (feature, table) in zip(panels.flat, scores.items(), strict=False):
            is_whole = table["part"].astype(str) == "all"
            parts = table[~is_whole] if (~is_whole).any() else table
            panel.bar(np.arange(len(parts)), parts[_SCORE], color=COLOURS[0], width=0.8)
            for whole in table.loc[is_whole, _SCORE]:
                panel.axhline(whole, color=COLOURS[5], linestyle="--", linewidth=1)
                wholes.append(f"{feature} {whole:.2f}")
            panel.axhline(0, color=GREY, linewidth=0.8)
            ticks = evenly(len(parts), 6)
            panel.set_xticks(ticks, [str(name) for name in parts["part"].iloc[ticks]])
            panel.set(title=feature, xlabel="layer" if feature == STAGE1 else "token")
        for first in panels[:, 0]:
            first.set_ylabel("leave-one-out correlation")
        figure.tight_layout()
    return (
        f"{subject}: leave-one-out correlation of the regressions on the training images, "
        "for each layer of the VDVAE, from the top, and each token of CLIP. Near zero, nothing can "
        "be predicted. "
        f"Dashed: the mean over the whole space ({', '.join(wholes)})."
    )


def noise_ceiling_figure(ceilings: Mapping[str, np.ndarray], output: str | Path) -> str:
    """Histogram of the voxels' noise ceilings, one line a subject.

    Parameters
    ----------
    ceilings
        Subject to noise ceiling of each voxel, percent of explainable variance, shape (n_voxels,);
        of no voxel where no image was shown twice.
    output
        Image file.

    Returns
    -------
    The caption, with medians.
    """
    edges = np.linspace(0, 100, 41)
    medians = []
    with figure_file(output, (5.2, 2.6)) as figure:
        panel = figure.subplots()
        for number, (subject, values) in enumerate(ceilings.items()):
            if not len(values):
                medians.append(f"{subject} unknown, since no image was shown twice")
                continue
            density = np.histogram(np.clip(values, 0, 100), edges)[0] / len(values)
            colour = COLOURS[number % len(COLOURS)]
            panel.stairs(density, edges, label=subject, color=colour, linewidth=1.4)
            medians.append(f"{subject} {np.median(values):.0f} %")
        panel.set(xlabel="noise ceiling (% of variance)", ylabel="share of voxels", xlim=(0, 100))
        if panel.patches:
            panel.legend()
        figure.tight_layout()
    return (
        "Noise ceilings of the voxels: how much of the variance of the averaged responses the "
        f"seen image can explain. Medians: {', '.join(medians)}."
    )
