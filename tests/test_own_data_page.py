"""The page on one's own data does what it says."""

import re
import subprocess
import sys

from nsdrecon.store import read_table
from one_process import run_jobs
from workflow_runs import ROOT, copy_project, snakemake

PAGE = (ROOT / "docs/own-data.md").read_text()


def block(kind):
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, flags=re.M | re.S)
    return found


def test_the_example_is_validated_and_runs(tmp_path):
    project = copy_project(tmp_path / "project")
    subprocess.run([sys.executable, "-c", block("python")], cwd=project, check=True)
    (project / "own.yaml").write_text(block("yaml"))
    overlays = ("config/demo.yaml", "own.yaml")
    done = snakemake(project, "validate", overlays=overlays)
    assert done.returncode == 0, done.stderr
    log = (project / "logs/own/validate.log").read_text()
    shown = PAGE.partition("\ncheck  ")[2].partition("```")[0].splitlines()[1:]
    assert len(shown) == 15
    assert [row for row in map(squeezed, shown) if row not in squeezed(log)] == []
    table = "results/own/tables/metrics.tsv"
    run_jobs(project, table, overlays=overlays)
    metrics = read_table(project / table).set_index(["system", "metric"])["mean"]
    # The pictures are what the responses follow.
    assert metrics["vdvae", "PixCorr"] > metrics["shuffled-vdvae", "PixCorr"] + 0.1


def squeezed(text):
    return " ".join(text.split())
