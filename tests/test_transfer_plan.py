"""How much will travel and be stored, before anything starts."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nsdrecon import layout
from nsdrecon.errors import InputError
from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.plan import Planned, model_plan, nsd_plan
from nsdrecon.transfer.s3 import Bucket
from s3_server import BUCKET, shared_server


def test_sizes_come_from_the_bucket_and_what_is_removed_is_not_stored(tmp_path):
    with h5py.File(tmp_path / "brick", "w") as file:
        file["imgBrick"] = np.zeros((5, 4, 6, 3), np.uint8)
    server = shared_server()
    server.upload(layout.STIMULI, tmp_path / "brick")
    server.put("plan/design", b"x" * 10)
    server.put("plan/session", b"x" * 1000)
    plan = nsd_plan(
        Bucket(BUCKET, endpoint=server.url),
        "resources/nsd",
        {
            "all subjects": ["resources/nsd/plan/design", "test.h5"],
            "subj01": ["resources/nsd/plan/session", "ranges.h5"],
        },
        {"test.h5": 3},
        {"resources/nsd/plan/session": ("voxels.h5", 50)},
        {"ranges.h5": 100},
    )
    assert list(plan) == [
        Planned("all subjects", "resources/nsd/plan/design", 10, 10),
        Planned("all subjects", "test.h5", 3 * 72, 3 * 72),
        Planned("subj01", "voxels.h5", 1000, 50),
        Planned("subj01", "ranges.h5", 200, 100),
    ]


def test_models_of_known_size_and_unknown_models():
    (item,) = model_plan(["resources/models/alexnet/alexnet-owt-7be5be79.pth"], {})
    assert (item.group, item.travels) == ("models", 244_408_911)
    with pytest.raises(InputError, match=r"resources/models/mine.*your own or vdvae"):
        list(model_plan(["resources/models/mine"], {}))


def test_model_that_is_here_is_not_asked_for(tmp_path, monkeypatch):
    path = Path(f"resources/models/vdvae/{FILES['vdvae'].name}")
    monkeypatch.chdir(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert list(model_plan([str(path)], {})) == [Planned("models", str(path), 7, 7)]
