"""Rate cards and catalog templates: exact, complete, or a clear error."""

from decimal import Decimal

import pytest

from fastcheck.replay import example
from fastcheck.replay.errors import RatesError
from fastcheck.replay.rates import has_placeholders, read_rates, render_catalog

HEADER = "model,input_cost_per_token,cache_read_input_token_cost,output_cost_per_token"


def card(tmp_path, *rows, header=HEADER):
    path = tmp_path / "rates.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_prices_are_read_digit_for_digit(tmp_path):
    rates = read_rates(card(tmp_path, "a,2e-06,0.0000005,8E-6", "b,1e-7,,0.0"))
    assert rates == {
        "a": {"input": Decimal("0.000002"), "cached": Decimal("5e-7"), "output": Decimal("8e-6")},
        "b": {"input": Decimal("1e-7"), "output": Decimal(0)},
    }


def test_a_template_becomes_a_catalog_on_the_same_lines() -> None:
    template = "# ${rates x} stays\npool: ${scale}\na: ${rates a}\nb: ${rates b}\n"
    prices = {"input": Decimal("2e-6"), "cached": Decimal("2.8e-8"), "output": Decimal("1e-5")}
    rendered = render_catalog(template, "t.yaml", {"a": prices, "b": dict.fromkeys(prices, Decimal(1))}, 1000)
    assert rendered.text == (
        "# ${rates x} stays\npool: 6\na: {input: 0.002, cached: 0.000028, output: 0.01}\n"
        "b: {input: 1000, cached: 1000, output: 1000}\n"
    )
    assert rendered.scale == 6
    assert rendered.models == ("a", "b")


def test_the_example_is_exact_at_scale_6() -> None:
    rendered = render_catalog(example.CATALOG.read_text(), "catalog.yaml", read_rates(example.RATES))
    assert rendered.scale == 6
    assert (
        "gpt-4.1-nano: {kind: credit, pool: ai_credits, rates: {input: 0.0001, cached: 0.000025,"
        in rendered.text
    )
    assert not has_placeholders(rendered.text)
    assert has_placeholders(example.CATALOG.read_text())


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,free,1,1", r":2: column input_cost_per_token: 'free' is not a price"),
        ("a,-1,1,1", r":2: .*'-1' is not a price; write USD per token"),
        ("a,1,NaN,1", r":2: column cache_read"),
        ("a,1,1,Infinity", r":2: column output_cost"),
        ("a,1e-999999,1,1", r"is not a price"),
        ("a,1e999999,1,1", r"is not a price"),
        ("a,1_0,1,1", r"is not a price"),
        (f"a,0.{'1' * 60},1,1", r"is not a price"),
        ("a,1,1", r":2: 3 fields where the header has 4"),
        ("a,1,1,1\na,1,1,2", r":3: model a is listed twice"),
    ],
)
def test_mistakes_in_a_card_are_told(tmp_path, row, told):
    with pytest.raises(RatesError, match=told):
        read_rates(card(tmp_path, row))


def test_a_card_needs_its_columns(tmp_path):
    with pytest.raises(RatesError, match="missing columns input_cost_per_token, cache_read"):
        read_rates(card(tmp_path, header="model,output_cost_per_token"))
    (tmp_path / "rates.csv").write_text("")
    with pytest.raises(RatesError, match="missing columns model"):
        read_rates(tmp_path / "rates.csv")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("\nx: ${rates b}", r"t.yaml:2: the rate card has no model b"),
        ("x: ${rates half}", r"t.yaml:1: the rate card has no cache_read_input_token_cost for half"),
        ("x: ${prices a}", r"t.yaml:1: unknown placeholder \$\{prices a\}"),
        ("x: ${rates }", r"t.yaml:1: unknown placeholder"),
        ("x: ${scale}", r"t.yaml:1: \$\{scale\} without any"),
        (
            "x: ${rates fine}",
            r"t.yaml: the rates of fine need scale 17 and a pool has at most 12; choose more credits",
        ),
    ],
)
def test_mistakes_in_a_template_are_told(template, told):
    one = Decimal(1)
    cards = {
        "a": {"input": one, "cached": one, "output": one},
        "half": {"input": one, "output": one},
        "fine": {"input": Decimal("1e-20"), "cached": one, "output": one},
    }
    with pytest.raises(RatesError, match=told):
        render_catalog(template, "t.yaml", cards)
