"""Charts as SVG, drawn by Vega-Lite without a browser, whose colours follow the page: light or dark.

`histogram([(0, 1, 5, 2), ...], 0.5, "share")` is an `<svg>` that scales.
"""

import re
from collections.abc import Sequence
from typing import Any

KEPT, DROPPED, LINE = "#010101", "#020202", "#030303"
"""Stand for colours of the page: `var(--kept)`, `var(--dropped)`, `var(--line)`."""
_VARIABLES = {KEPT: "var(--kept)", DROPPED: "var(--dropped)", LINE: "var(--line)"}

CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "tickColor": LINE,
        "domainColor": LINE,
        "gridColor": LINE,
        "gridOpacity": 0.35,
        "titleFontWeight": "normal",
        "tickCount": 5,
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
    "axisY": {"minExtent": 44},
    "legend": {"labelColor": "currentColor", "symbolType": "square", "labelFontSize": 11},
}

HEIGHT, ROW = 150, 22
"""Of a drawing, and of a group in one whose groups lie below each other."""

TOWER = 20
"""A bar so many times as high as the next leaves nothing of it to see, unless heights are drawn as square roots."""

LONG = 12
"""Characters of a name that no longer fit below a bar."""

Chart = dict[str, Any]


def is_crowded(low: float, median: float, high: float) -> bool:
    """Whether values, as of lengths, lie so close at their low end that they are to be spread by the logarithm."""
    return low >= 0 and high > 10 and median < high / 8


def histogram(bins: list[tuple[float, float, int, int]], threshold: float | None, title: str) -> str:
    """Rows kept and dropped by a measure, with the threshold as a line."""
    rows = []
    for start, end, kept, dropped in bins:
        rows.append({"from": start, "to": end, "low": 0, "high": kept, "what": "kept"})
        rows.append({"from": start, "to": end, "low": kept, "high": kept + dropped, "what": "dropped"})
    widths = [end - start for start, end, *_ in bins]
    by_logarithm = max(widths) > 1.5 * min(widths)
    *_, second, tallest = sorted(kept + dropped for *_, kept, dropped in bins)
    tower = tallest > TOWER * second > 0
    encoding: Chart = {
        "x": {"field": "from", "type": "quantitative", "title": title, **_scale(by_logarithm)},
        "x2": {"field": "to"},
        "y": {"field": "low", "type": "quantitative", "title": "rows (square-root scale)" if tower else "rows"},
        "y2": {"field": "high"},
        "color": _colours("what", {"kept": KEPT, "dropped": DROPPED}),
    }
    if tower:
        encoding["y"]["scale"] = {"type": "sqrt"}
    return _svg([_layer(rows, {"type": "rect"}, encoding)], threshold, title)


def yield_curve(curve: list[tuple[float, int]], threshold: float | None) -> str:
    """Rows that would stay, by threshold."""
    rows = [{"at": at, "rows": left} for at, left in curve]
    by_logarithm = is_crowded(curve[0][0], curve[len(curve) // 2][0], curve[-1][0])
    encoding = {
        "x": {"field": "at", "type": "quantitative", "title": "threshold", **_scale(by_logarithm)},
        "y": {"field": "rows", "type": "quantitative", "title": "rows that would stay"},
    }
    return _svg([_layer(rows, {"type": "line", "color": KEPT, "strokeWidth": 2}, encoding)], threshold, "threshold")


def line(points: Sequence[tuple[float, float]], title: str, what: str) -> str:
    """A share over something that goes on, as attempts do."""
    rows = [{"at": at, "share": share} for at, share in points]
    encoding = {
        "x": {"field": "at", "type": "quantitative", "title": title},
        "y": {"field": "share", "type": "quantitative", "title": what, "axis": {"format": "%"}},
    }
    return _svg([_layer(rows, {"type": "line", "color": DROPPED, "strokeWidth": 2}, encoding)])


def before_and_after(groups: list[str], before: list[float], after: list[float]) -> str:
    """Shares of groups among all rows and among those kept; groups of long names lie below each other."""
    rows = [
        {"group": group, "share": share, "when": when}
        for when, shares in (("before", before), ("after", after))
        for group, share in zip(groups, shares, strict=True)
    ]
    long = max(map(len, groups), default=0) > LONG
    place: Chart = {"field": "group", "sort": groups, "title": None}
    place["axis"] = {"labelLimit": 240} if long else {"labelAngle": 0, "labelOverlap": True}
    when = {"field": "when", "sort": ["before", "after"]}
    share = {"field": "share", "type": "quantitative", "title": "share of rows", "axis": {"format": "%"}}
    encoding = {"y": place, "yOffset": when, "x": share} if long else {"x": place, "xOffset": when, "y": share}
    encoding["color"] = _colours("when", {"before": LINE, "after": KEPT})
    height = max(HEIGHT, ROW * len(groups)) if long else HEIGHT
    return _svg([_layer(rows, {"type": "bar"}, encoding)], height=height)


def intervals(found: Sequence[tuple[str, float, float, float]], title: str, reference: float) -> str:
    """Of each name a value between the two ends of its interval, below each other; a dashed line at the reference."""
    rows = [{"name": name, "at": at, "low": low, "high": high} for name, at, low, high in found]
    name = {"field": "name", "sort": [row["name"] for row in rows], "title": None, "axis": {"labelLimit": 240}}
    scale = {"scale": {"zero": False}, "title": title, "type": "quantitative"}
    between = {"y": name, "x": {"field": "low", **scale}, "x2": {"field": "high"}}
    layers = [
        _layer(rows, {"type": "rule", "color": LINE, "strokeWidth": 3}, between),
        _layer(
            rows,
            {"type": "point", "filled": True, "color": KEPT, "size": 70},
            {"y": name, "x": {"field": "at", **scale}},
        ),
    ]
    return _svg(layers, reference, title, height=max(ROW * 2 * len(rows), ROW * 2))


def _scale(by_logarithm: bool) -> Chart:
    scale = {"nice": False, "zero": False}
    if not by_logarithm:
        return {"scale": scale}
    return {"scale": scale | {"type": "symlog"}, "axis": {"values": [0, *(10**power for power in range(10))]}}


def _colours(field: str, colours: dict[str, str]) -> Chart:
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": field, "title": None, "scale": scale, "legend": {"orient": "top"}}


def _layer(rows: list[Chart], mark: Chart, encoding: Chart) -> Chart:
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _svg(layers: list[Chart], threshold: float | None = None, title: str = "", height: int = HEIGHT) -> str:
    import vl_convert

    if threshold is not None:
        mark = {"type": "rule", "color": "currentColor", "strokeDash": [4, 3]}
        encoding = {"x": {"field": "at", "type": "quantitative", "title": title}}
        layers.append(_layer([{"at": threshold}], mark, encoding))
    svg: str = vl_convert.vegalite_to_svg({"width": 280, "height": height, "config": CONFIG, "layer": layers})
    for stand_in, colour in _VARIABLES.items():
        svg = svg.replace(f'"{stand_in}"', f'"{colour}"')
    # the page gives each chart its name and its numbers; what the library says of each mark would be read aloud
    svg = re.sub(r' (?:aria-[a-z]+|role|tabindex)="[^"]*"', "", svg)
    return re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r'<svg \1aria-hidden="true"', svg, count=1)
