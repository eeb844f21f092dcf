"""A hook of mkdocs (``mkdocs.yml``): what GitHub draws from mermaid's text is drawn into the page.

A page that opens from the file system loads no script to draw it with.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text of a page, with a drawing in the place of mermaid's text."""
    return re.sub(r"^```mermaid$.*?^```$", _drawing, markdown, flags=re.M | re.S)


def _drawing(_: re.Match[str]) -> str:
    sys.path.insert(0, str(ROOT / "workflow/scripts"))
    from nsdrecon.graph.plan import LEGEND, draw_rules, planned_jobs

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    svg = draw_rules(planned_jobs(ROOT / "workflow/Snakefile", config)).decode()
    shown = '<svg role="img" aria-label="Graph" style="width: 90em; height: auto"'
    named = svg[svg.index("<svg") :].replace("<svg", shown, 1)
    style = "overflow-x: auto; background: white; padding: 0.5em"
    return f'<div style="{style}" tabindex="0">{named}</div>\n\n{LEGEND}'
