"""The page of all test images, and the pictures as files for other evaluators."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from accessible import Page
from nsdrecon.errors import InputError
from nsdrecon.metrics import IDENTIFICATION, Metric, NetworkMetric, PixelMetric
from nsdrecon.pages.export import export_pictures
from nsdrecon.pages.gallery import gallery_columns, write_gallery, write_strips
from nsdrecon.store import read_array, write_arrays
from small_pictures import NSD_ID, write_system

METRICS: list[Metric] = [
    PixelMetric("SSIM", "pixels:f"),
    NetworkMetric("CLIP", "networks:f", IDENTIFICATION),
]


@pytest.fixture
def samples(tmp_path):
    """The second sample of image 41 is chosen, of the others the first."""
    uncertainty = np.where(NSD_ID[:, None, None] == 41, 127.5, 0) * np.ones((10, 40, 40))
    arrays = {"chosen": (NSD_ID == 41).astype(int), "uncertainty": uncertainty}
    write_arrays(tmp_path / "samples.h5", NSD_ID, arrays)
    return tmp_path / "samples.h5"


def cells(strip):
    """The pictures of a strip, as arrays."""
    with Image.open(strip) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return np.split(pixels, pixels.shape[1] // pixels.shape[0], axis=1)


def test_a_strip_shows_what_was_seen_and_the_chosen_sample(tmp_path, stimuli, system, samples):
    folder = tmp_path / "pictures" / "subj01"
    for _ in range(2):  # a second time replaces the pictures of the first
        write_strips(
            folder,
            stimuli=stimuli,
            reconstructions={"sd-ddpm": system},
            samples={"sd-ddpm": samples},
            pixels=40,
        )
    assert {path.name for path in folder.iterdir()} == {f"{image}.webp" for image in NSD_ID}
    assert not list(folder.parent.glob(".partial-*"))
    seen, chosen, uncertainty = cells(folder / "41.webp")
    expected = read_array(system, "images", np.array([41]))[0, 1].astype(int)
    assert np.abs(chosen - expected).mean() < 25  # WebP blurs the edges of a mosaic
    assert np.abs(chosen - read_array(system, "images", np.array([41]))[0, 0]).mean() > 30
    assert seen.shape == (40, 40, 3)
    assert uncertainty.mean() > 150
    assert cells(folder / "2.webp")[2].mean() < 20


def test_strips_need_every_image(tmp_path, stimuli):
    write_system(tmp_path / "few.h5", NSD_ID[:5])
    with pytest.raises(InputError, match=r"few\.h5: found no row for nsd_id 8, 13, 21, 60, 90"):
        write_strips(
            tmp_path / "strips",
            stimuli=stimuli,
            reconstructions={"few": tmp_path / "few.h5"},
            samples={},
        )
    assert not (tmp_path / "strips").exists()


def test_strips_are_of_the_images_of_a_subject(tmp_path, stimuli):
    write_system(tmp_path / "few.h5", NSD_ID[:5])
    write_strips(
        tmp_path / "strips",
        stimuli=stimuli,
        reconstructions={"few": tmp_path / "few.h5"},
        samples={},
        nsd_id=NSD_ID[:5],
    )
    assert {int(path.stem) for path in (tmp_path / "strips").iterdir()} == set(NSD_ID[:5])


def scores():
    table = pd.DataFrame({"nsd_id": np.tile(NSD_ID, 2), "sample": np.repeat([0, 1], 10)})
    table = table.assign(SSIM=np.arange(20) / 20, CLIP=1.0)
    return table.assign(SSIM=table["SSIM"].where(table["nsd_id"] != 5))


def gallery(folder, samples, **tables):
    page = folder / "gallery" / "index.html"
    write_gallery(
        page,
        title="All & everything",
        pictures="pictures",
        columns=gallery_columns(
            {"sd-ddpm": "SD </script>"}, {"flat-grey": "grey"}, {"oracle": "VAE"}, ["sd-ddpm"]
        ),
        metrics=METRICS,
        scores={"subj01": {"sd-ddpm": scores(), **tables}},
        chosen={"subj01": {"sd-ddpm": samples}},
        captions={2: ["a <b>", "c"]},
    )
    return page.read_text(encoding="utf-8")


def test_the_page_has_the_scores_of_what_it_shows(tmp_path, samples):
    text = gallery(tmp_path, samples)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, flags=re.S)[1])
    assert [column["kind"] for column in data["columns"]] == [
        "seen",
        "system",
        "floor",
        "ceiling",
        "uncertainty",
    ]
    assert data["ids"] == sorted(NSD_ID.tolist())
    shown = data["subjects"]["subj01"]
    found = dict(zip(shown["ids"], shown["scores"]["sd-ddpm"]["SSIM"], strict=True))
    assert found[7] == 0  # its first sample
    assert found[41] == 0.65  # its second one
    assert found[5] is None
    assert data["captions"] == {"2": ["a <b>", "c"]}
    assert data["metrics"][1] == {"name": "CLIP", "percent": True, "better": "higher"}


def test_the_page_needs_no_network_and_everybody_can_use_it(tmp_path, samples):
    text = gallery(tmp_path, samples)
    assert not re.search(r"https?://|(?:src|href)=\"(?!#|\.\./report)", text)
    page = Page(text)
    assert page.problems() == []
    assert page.titles == ["All & everything"]


def test_a_table_without_a_metric(tmp_path, samples):
    with pytest.raises(InputError, match=r"scores of flat-grey, subj01: .*also CLIP"):
        gallery(tmp_path, samples, **{"flat-grey": scores().drop(columns="CLIP")})


def test_export_names_pictures_by_their_image(tmp_path, stimuli, system):
    one = write_system(tmp_path / "vdvae.h5", NSD_ID)
    sources = {"subj01/sd-ddpm": system, "subj01/vdvae": one}
    folder = tmp_path / "export"
    (folder / "old").mkdir(parents=True)
    export_pictures(folder, stimuli=stimuli, reconstructions=sources)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert names == {
        *(f"seen/{image}.png" for image in NSD_ID),
        *(f"subj01/vdvae/{image}.png" for image in NSD_ID),
        *(f"subj01/sd-ddpm/{image}_{sample}.png" for image in NSD_ID for sample in (0, 1)),
    }
    assert not (folder / "old").exists()
    with Image.open(folder / "subj01/sd-ddpm/41_1.png") as picture:
        expected = read_array(system, "images", np.array([41]))[0, 1]
        np.testing.assert_array_equal(np.asarray(picture), expected)
