"""Draw the graph of the rules, for the configuration of this run."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pygraphviz

from nsdrecon.logs import job_log
from nsdrecon.store import whole_file


def rulegraph(config: dict, kind: str) -> str:
    """Snakemake's own graph of the rules for a configuration, as dot or mermaid text."""
    with tempfile.TemporaryDirectory() as folder:
        configfile = Path(folder) / "config.json"
        configfile.write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--rulegraph", kind]
        command += ["--configfile", str(configfile)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


with job_log(snakemake.log[0], snakemake.rule) as log:
    graph = pygraphviz.AGraph(string=rulegraph(snakemake.params.config, "dot"))
    graph.graph_attr.update(bgcolor="transparent", margin="0.1")
    graph.node_attr.update(fontname="Helvetica, Arial, sans-serif", fontsize="11")
    with whole_file(snakemake.output.svg) as partial:
        partial.write_bytes(graph.draw(format="svg", prog="dot"))
    with whole_file(snakemake.output.mermaid) as partial:
        partial.write_text(rulegraph(snakemake.params.config, "mermaid-js"))
    log.info("%d rules, %d arrows", len(graph.nodes()), len(graph.edges()))
