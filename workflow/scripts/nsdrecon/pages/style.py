"""What all pages look like: colours for light and dark screens, text, keyboard focus."""

COLOURS = """
:root { color-scheme: light dark;
  --ink: #1f2329; --soft: #555c66; --line: #d9dde3; --ground: #f4f6f8; --page: #ffffff;
  --link: #005a94; --warm: #fdf3e0; --edge: #b36b00; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e7eaee; --soft: #aab3be; --line: #3a414a; --ground: #1e2329; --page: #14171b;
  --link: #7cc0f2; --warm: #33270f; --edge: #e69f00; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--page);
       font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
@media (max-width: 40rem) { body { font-size: 15px; } }
"""
"""Style sheet that each page begins with; colours have a contrast of 4.5 and more."""
