"""The style of the report page."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5d6872; --paper: #fff; --card: #f5f6f8;
  --rule: #dfe3e8;
  --accent: #2463b5; --s0: #2463b5; --s1: #d1662a; --s2: #2f8a57; --s3: #a13f8f; --s4: #8a7a1f;
  --s5: #5d6872; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b0; --paper: #15181c;
  --card: #1e2328;
  --rule: #333a42; --accent: #79aef2; --s0: #79aef2; --s1: #f0925c; --s2: #6ecf97; --s3: #dd8fce;
  --s4: #d3c25c;
  --s5: #9aa5b0; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
header, main { max-width: 1500px; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2.5rem); }
header { padding-top: 2.2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; margin: 0; }
header p { color: var(--soft); margin: .35rem 0 0; }
h2 { font-size: 1.25rem; margin: 0 0 .8rem; }
section { padding: 1.8rem 0; border-top: 1px solid var(--rule); }
.lead, .note { color: var(--soft); max-width: 75ch; margin: 0 0 1rem; }
.note { font-size: .85rem; margin: .5rem 0 1.2rem; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: .7rem 1.1rem;
  min-width: 8.5rem; }
.figures dt { color: var(--soft); font-size: .82rem; }
.figures dd { margin: 0; font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
nav .page::after { content: " →"; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; padding: 1.1rem 0; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.table { max-height: 80vh; overflow: auto; border: 1px solid var(--rule); border-radius: 10px;
  width: fit-content;
  max-width: 100%; margin-bottom: 1rem; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: .42rem 1rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
td:not(.number), th:first-child { text-align: left; }
th { position: sticky; top: 0; background: var(--card); font-weight: 600; font-size: .85rem;
  color: var(--soft);
  z-index: 1; }
td:first-child { position: sticky; left: 0; background: var(--paper); font-weight: 550; }
tbody tr:last-child td { border-bottom: 0; }
tbody tr:hover td { background: var(--card); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr));
  gap: 1.2rem; }
figure { margin: 0; }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: .9rem 1rem;
  max-width: 720px; }
.chart figcaption { font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--rule); }
svg polyline { fill: none; stroke: var(--line); stroke-width: 1.8; stroke-linejoin: round; }
.series-0 { --line: var(--s0); } .series-1 { --line: var(--s1); } .series-2 { --line: var(--s2); }
.series-3 { --line: var(--s3); } .series-4 { --line: var(--s4); } .series-5 { --line: var(--s5); }
.timeline { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: .9rem 1rem;
  margin-bottom: 1rem; }
svg .bar { fill: var(--line); }
svg .lost { fill-opacity: .4; }
svg .cut { stroke: var(--soft); stroke-dasharray: 3 3; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: .3rem 0 0; padding: 0;
  font-size: .85rem; color: var(--soft); }
.legend li::before { content: ""; display: inline-block; width: 1.1em; height: .2em; margin-right: .5em;
  vertical-align: .25em; border-radius: 2px; background: var(--line); }
article { margin-bottom: 1.6rem; }
h3 { font-size: .95rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h3 span { color: var(--soft); font-weight: 400; margin-left: .8em; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(160px, 44vw), 1fr));
  gap: .7rem; }
.pictures figcaption { color: var(--soft); font-size: .82rem; line-height: 1.3; margin-top: .3rem; }
.pictures label { display: block; cursor: zoom-in; position: relative; }
.pictures img { display: block; width: 100%; height: auto; border-radius: 6px; background: var(--card); }
.pictures input { position: absolute; opacity: 0; }
.pictures input:focus-visible + img { outline: 3px solid var(--accent); }
.pictures input:checked + img { position: fixed; inset: 0; z-index: 10; width: 100vw; height: 100vh;
  object-fit: contain; padding: 3vmin; border-radius: 0; background: rgb(0 0 0 / 85%); cursor: zoom-out; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 1rem;
  overflow: auto;
  font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; }
summary h2 { display: inline-block; margin: 0 0 .4rem .3rem; }
@media print { nav { display: none; } .table { max-height: none; } }
"""
