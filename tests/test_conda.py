"""``--software-deployment-method conda``, wired with a stand-in for conda.

The stand-in makes an environment by linking this one; what it was asked to make and which programs
ran in it, it writes down.
"""

import os
import subprocess
import sys

import pytest
import yaml

from tiny_runs import OVERLAYS
from workflow_runs import ROOT, copy_project, environment, snakemake_command

CONDA = """#!/bin/bash
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version ") echo "conda 25.1.0" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "config --set" | "clean -y") ;;
  "env create")
    while [ $# -gt 0 ]; do
      [ "$1" = --file ] && file=$2
      [[ "$1" == --file=* ]] && file=${{1#--file=}}
      [ "$1" = --prefix ] && made=$2
      [[ "$1" == --prefix=* ]] && made=${{1#--prefix=}}
      shift
    done
    cat "$file" >> {prefix}/asked.yaml
    mkdir -p "$made/bin" "$made/conda-meta"
    cp {prefix}/python "$made/bin/python" ;;
  *) echo "stand-in: unknown: $*" >&2; exit 1 ;;
esac
"""
PYTHON = """#!/bin/bash
echo "$1" >> {prefix}/ran.txt
exec {python} "$@"
"""
ACTIVATE = 'export PATH="$1/bin:$PATH"; export CONDA_PREFIX="$1"\n'


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("conda")
    (prefix / "bin").mkdir()
    for name, text in {"bin/conda": CONDA, "python": PYTHON}.items():
        (prefix / name).write_text(text.format(prefix=prefix, python=sys.executable))
        (prefix / name).chmod(0o755)
    (prefix / "bin/activate").write_text(ACTIVATE)
    return prefix


def test_rules_run_in_the_environment_of_their_file(stand_in, tmp_path):
    project = copy_project(tmp_path / "project")
    command = snakemake_command(
        project,
        *(
            "results/demo/subj01/trials.tsv",
            "--cores",
            "1",
            "--software-deployment-method",
            "conda",
        ),
        overlays=OVERLAYS,
    )
    path = f"{stand_in / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=project,
        env={**environment(), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # One environment for all rules, and it is the one pinned from the lock file.
    asked = (stand_in / "asked.yaml").read_text()
    assert yaml.safe_load(asked) == yaml.safe_load(
        (ROOT / "workflow/envs/nsdrecon.yaml").read_text()
    )
    ran = (stand_in / "ran.txt").read_text()
    assert "simulate_experiment.py" in ran
    assert "trials.py" in ran


def test_the_container_is_built_from_the_lock_file():
    recipe = (ROOT / "workflow/envs/nsdrecon.def").read_text()
    assert "--require-hashes -r /opt/requirements.lock" in recipe
    pinned = yaml.safe_load((ROOT / "workflow/envs/nsdrecon.yaml").read_text())["dependencies"]
    assert pinned[-1]["pip"][0] in recipe  # torch


def test_container_of_the_configuration_reaches_every_rule(tmp_path):
    project = copy_project(tmp_path / "project")
    probe = project / "workflow/probe.smk"
    probe.write_text(
        'print("IMAGES", {rule.container_img for rule in workflow.rules}, file=sys.stderr)\n'
    )
    with (project / "workflow/Snakefile").open("a") as stream:
        stream.write('\n\ninclude: "probe.smk"\n')
    for image in ("images/nsdrecon.sif", None):
        command = snakemake_command(
            project, "--cores", "1", "-n", "--quiet", overlays=(*OVERLAYS, {"container": image})
        )
        done = subprocess.run(
            command, cwd=project, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert f"IMAGES {{{image!r}}}" in done.stderr
