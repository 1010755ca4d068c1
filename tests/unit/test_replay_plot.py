"""The picture: valid XML whose last points are the totals."""

import re
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from fastcheck.replay.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, burn_over_time, ticks

SVG = "{http://www.w3.org/2000/svg}"


def areas(svg):
    """[(name, total, [(x, y)] along the upper edge)] from the bottom of the stack."""
    out = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        points = [tuple(map(float, pair.split())) for pair in re.split("[MLZ]", path.attrib["d"]) if pair]
        out.append((path.get("data-plan"), Decimal(path.attrib["data-total"]), points[: len(points) // 2]))
    return out


def test_last_points_are_the_totals() -> None:
    totals = (Decimal("4273.19927"), Decimal("15760.340143"), Decimal("5716.763577"))
    points = [(t * 1000, tuple(total * t / 600 for total in totals)) for t in range(601)]
    drawn = areas(burn_over_time(["free", "pro", "enterprise"], points, "Burn"))
    assert [(name, total) for name, total, _ in drawn] == list(
        zip(["free", "pro", "enterprise"], totals, strict=True)
    )
    per_px = 30_000 / (HEIGHT - BOTTOM - TOP)
    stacked = Decimal(0)
    for (_, total, edge), _ in zip(drawn, totals, strict=True):
        stacked += total
        x, y = edge[-1]
        assert x == WIDTH - RIGHT
        assert (HEIGHT - BOTTOM - y) * per_px == pytest.approx(float(stacked), abs=per_px * 0.01)
        assert edge[0] == (LEFT, HEIGHT - BOTTOM)


def test_names_are_escaped_and_one_instant_is_enough() -> None:
    svg = burn_over_time(['<&"plan'], [(5, (Decimal(0),))], "a < b & c", 'x "y"')
    assert areas(svg)[0][0] == '<&"plan'
    assert "a < b & c" in (ElementTree.fromstring(svg).findtext(f"{SVG}title") or "")


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no points"):
        burn_over_time(["a"], [], "t")


def test_more_plans_than_colours() -> None:
    names = [f"p{i}" for i in range(9)]
    assert len(areas(burn_over_time(names, [(0, (Decimal(0),) * 9), (9, (Decimal(1),) * 9)], "t"))) == 9


@pytest.mark.parametrize("largest", [0, 1e-9, 0.3, 1, 5, 7, 10, 99, 100, 101, 25750.3, 1e9, 123456789012.0])
def test_ticks_are_few_and_cover(largest):
    at = ticks(largest)
    assert at[0] == 0
    assert at[-1] >= largest
    assert 2 <= len(at) <= 8
    if largest:
        assert at[-2] < largest
