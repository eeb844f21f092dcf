"""What a page must have so that everybody can use it, read from its HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from nsdrecon.pages.style import COLOURS

# Elements without an end.
VOID = {"meta", "img", "input", "br", "link", "hr"}
LOWEST_CONTRAST = 4.5  # of text, as WCAG AA asks for


class Page(HTMLParser):
    """The structure of a page: headings, links, names of what is shown or operated."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.titles: list[str] = []
        self.found: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        about = dict(attributes)
        self.ids += [about["id"]] if "id" in about else []
        self.links += [about["href"]] if "href" in about else []
        if tag == "html" and not about.get("lang"):
            self.found.append("html without lang")
        if tag == "img" and not about.get("alt"):
            self.found.append("picture without an alternative text")
        if tag == "svg" and not about.get("aria-label"):
            self.found.append("drawing without a label")
        if tag in ("input", "select") and "label" not in self.open:
            self.found.append(f"{tag} {about.get('name')} outside a label")
        if "scroll" in (about.get("class") or "") and about.get("tabindex") != "0":
            self.found.append("a scrolled part that no key reaches")
        if "onclick" in about:
            self.found.append(f"onclick of {tag}")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h1":
            self.titles.append(data)

    def problems(self) -> list[str]:
        """What is wrong with the page; nothing is an empty list."""
        found = list(self.found)
        if self.headings.count(1) != 1 or self.headings[0] != 1:
            found.append("no single first heading")
        steps = zip(self.headings, self.headings[1:], strict=False)
        found += [f"h{one} is followed by h{other}" for one, other in steps if other > one + 1]
        found += [f"id {name} twice" for name in set(self.ids) if self.ids.count(name) > 1]
        anchors = [link[1:] for link in self.links if link.startswith("#")]
        found += [f"no place #{name}" for name in anchors if name not in self.ids]
        return found + faint_colours()


def faint_colours() -> list[str]:
    """Pairs of text and ground in the pages' style sheet that are hard to tell apart."""
    found = []
    for number, block in enumerate(re.findall(r":root \{(.*?)\}", COLOURS, flags=re.S)):
        colour = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for text in ("ink", "soft", "link"):
            for ground in ("page", "ground", "warm"):
                value = contrast(colour[text], colour[ground])
                if value < LOWEST_CONTRAST:
                    found.append(f"palette {number}: {text} on {ground}, {value:.1f}")
    return found


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG, 1 to 21."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    values = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
