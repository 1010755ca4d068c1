"""What callers send instead of a value that the hub takes, by the kind of the value. Each mistake has a
label; some of them are no mistakes at all, but the last value that is still taken."""

from __future__ import annotations

from typing import Any

NOW_MS = 1_714_521_600_000
"""2024-05-01T00:00:00Z: the clock of the exchange stands here."""
END_MS = 253_402_300_800_000
"""The first instant that is too late."""

Mistakes = dict[str, Any]

ESSENTIAL = frozenset({
    "null", "true", "a number", "a list", "an object", "empty", "unknown", "nonsense", "a NUL",
    "a lone surrogate", "no UTF-8", "513 characters", "4,097 characters", "65 characters", "a float",
    "a whole float", "zero",
    "negative", "decimal text", "seven decimals", "over the most", "below the least", "the most", "the least",
    "text", "RFC 3339", "RFC 3339 without a zone", "after the last", "1,001", "one item", "a null in it",
    "too many items", "a slash", "another field", "one field more", "a decimal", "now", "0", "5,000 digits",
})  # fmt: skip
"""Labels of the mistakes that are made in every field; the others only in one of a kind in each subject."""


def brief(mistakes: Mistakes) -> Mistakes:
    """The essential ones."""
    return {label: value for label, value in mistakes.items() if label in ESSENTIAL}


# Values in bodies.

_NEVER: Mistakes = {"null": None, "true": True, "a list": [], "an object": {}}
_NO_TEXT: Mistakes = {**_NEVER, "a number": 5}

NAME: Mistakes = {
    **_NO_TEXT,
    "empty": "",
    "512 characters": "n" * 512,
    "513 characters": "n" * 513,
    "513 bytes of 257 characters": "é" * 256 + "n",
    "514 bytes of 257 characters": "é" * 257,
    "a NUL": "a\0b",
    "a lone surrogate": "a\ud800",
    "not ASCII": "jö 💩",
}
NOTE: Mistakes = {
    **_NO_TEXT,
    "empty": "",
    "4,096 characters": "n" * 4_096,
    "4,097 characters": "n" * 4_097,
    "4,098 bytes of 2,049 characters": "é" * 2_049,
    "a NUL": "a\0b",
    "a lone surrogate": "a\ud800",
    "a new line": "a\nb",
}
WORD: Mistakes = {
    **_NO_TEXT,
    "empty": "",
    "unknown": "nonsense",
    "33 characters": "n" * 33,
    "65 characters": "n" * 65,
    "a NUL": "a\0b",
    "a lone surrogate": "\ud800",
}
AMOUNT: Mistakes = {
    **_NEVER,
    "a float": 1.5,
    "a whole float": 1.0,
    "zero": 0,
    "zero as text": "0",
    "negative": -1,
    "negative text": "-1",
    "minus zero": "-0",
    "decimal text": "0.5",
    "six decimals": "0.000001",
    "seven decimals": "0.0000001",
    "forty decimals": "1." + "1" * 40,
    "forty-one decimals": "1." + "1" * 41,
    "forty digits": "1" * 40,
    "forty-one digits": "1" * 41,
    "leading zeros": "007",
    "the most": (1 << 63) - 1,
    "over the most": 1 << 63,
    "over the most as text": str(1 << 63),
    "ten to the thirtieth": 10**30,
    "an exponent": "1e3",
    "NaN": "NaN",
    "empty": "",
    "no decimals after the point": "1.",
    "no digits before the point": ".5",
    "a plus": "+1",
    "a space": " 1",
    "a new line after it": "1\n",
    "an underscore": "1_000",
    "a comma": "1,5",
    "Arabic digits": "١",
    "a NUL": "1\0",
    "a lone surrogate": "\ud800",
}
INSTANT: Mistakes = {
    **_NEVER,
    "zero": 0,
    "negative": -1,
    "in the past": 5,
    "a float": 1.5,
    "a whole float": float(NOW_MS + 5),
    "the last": END_MS - 1,
    "after the last": END_MS,
    "64 bits": 1 << 64,
    "digits as text": str(NOW_MS + 5),
    "too many digits": "9" * 19,
    "twenty digits": "9" * 20,
    "negative text": "-5",
    "RFC 3339": "2024-06-01T00:00:00Z",
    "RFC 3339 with an offset": "2024-06-01T02:00:00.25+02:00",
    "RFC 3339 in lower case": "2024-06-01t00:00:00z",
    "RFC 3339 with a space": "2024-06-01 00:00:00Z",
    "RFC 3339 without a zone": "2024-06-01T00:00:00",
    "RFC 3339 with microseconds": "2024-06-01T00:00:00.123456Z",
    "a date": "2024-06-01",
    "a month 13": "2024-13-01T00:00:00Z",
    "before 1970": "1969-12-31T23:59:59Z",
    "nonsense": "soon",
    "empty": "",
    "64 characters": "2" * 64,
    "65 characters": "2" * 65,
    "a NUL": "5\0",
    "a lone surrogate": "\ud800",
}
WHEN: Mistakes = {**INSTANT, "now": "now", "the period's end": "period_end", "NOW": "NOW"}


def whole(least: int, most: int) -> Mistakes:
    """Of an integer from `least` to `most`."""
    return {
        **_NEVER,
        "text": "1",
        "a float": 1.5,
        "a whole float": 1.0,
        "the least": least,
        "below the least": least - 1,
        "the most": most,
        "over the most": most + 1,
        "65 bits": 1 << 65,
    }


BOOLEAN: Mistakes = {
    "null": None, "zero": 0, "one": 1, "text": "true", "yes": "yes", "a list": [], "an object": {},
}  # fmt: skip
SETTING: Mistakes = {
    "null": None,
    "true": True,
    "false": False,
    "a number": 7,
    "negative": -7,
    "the most": (1 << 63) - 1,
    "over the most": 1 << 63,
    "the least": -1 << 63,
    "below the least": (-1 << 63) - 1,
    "a float": 1.5,
    "a whole float": 7.0,
    "text": "seven",
    "empty": "",
    "16,384 characters": "n" * 16_384,
    "16,385 characters": "n" * 16_385,
    "16,386 bytes of 8,193 characters": "é" * 8_193,
    "a NUL": "a\0b",
    "a lone surrogate": "\ud800",
    "a list": [],
    "an empty object": {},
    "a decimal": {"decimal": "12.5"},
    "a decimal that is whole": {"decimal": "12"},
    "a negative decimal": {"decimal": "-12.5"},
    "a decimal that is a number": {"decimal": 12},
    "a decimal that is a float": {"decimal": 12.5},
    "a decimal that is null": {"decimal": None},
    "a decimal with too many digits": {"decimal": "1." + "1" * 41},
    "a decimal with three decimals": {"decimal": "1.125"},
    "a decimal and more": {"decimal": "12.5", "more": 1},
    "another object": {"text": "x"},
}
PRICE: Mistakes = {
    "null": None,
    "a number": 5,
    "text": "5 EUR",
    "a list": [5, "EUR"],
    "an empty object": {},
    "no currency": {"minor_units": 5},
    "no units": {"currency": "EUR"},
    "one field more": {"minor_units": 5, "currency": "EUR", "tax": 1},
    "negative units": {"minor_units": -1, "currency": "EUR"},
    "zero units": {"minor_units": 0, "currency": "EUR"},
    "too many units": {"minor_units": 1 << 63, "currency": "EUR"},
    "units as a float": {"minor_units": 5.0, "currency": "EUR"},
    "units as text": {"minor_units": "5", "currency": "EUR"},
    "a currency in lower case": {"minor_units": 5, "currency": "eur"},
    "a currency of four letters": {"minor_units": 5, "currency": "EURO"},
    "a currency with a new line": {"minor_units": 5, "currency": "EUR\n"},
    "a currency that is null": {"minor_units": 5, "currency": None},
}


def many(item: Any, most: int) -> Mistakes:
    """Of a list of at most `most` items, `item` being one."""
    return {
        "null": None,
        "text": "x",
        "a number": 5,
        "true": True,
        "an object": {"0": item},
        "empty": [],
        "one item": [item],
        "the same item twice": [item, item],
        "too many items": [item] * (most + 1),
        "a null in it": [item, None],
        "a number in it": [item, 5],
        "a list in it": [item, []],
    }


OBJECT: Mistakes = {
    "null": None, "text": "x", "a number": 5, "true": True, "a list": [], "an empty object": {},
    "another field": {"no such field": 1},
}  # fmt: skip
KIND_OF_BOOKING: Mistakes = {**WORD, "leases": "leases", "accounts": "accounts", "Leases": "Leases"}
PLACE: Mistakes = {
    "null": None,
    "a number": 5,
    "empty": "",
    "nonsense": "x",
    "a place of another list": "WyJhIl0",
    "no list": "NQ",
    "an empty list": "W10",
    "2,048 characters": "A" * 2_048,
    "2,049 characters": "A" * 2_049,
    "not ASCII": "é",
    "a NUL": "\0",
    "a lone surrogate": "\ud800",
}

# Text in queries, as it stands in the address.

LIMIT: Mistakes = {
    "0": "0", "1": "1", "1,000": "1000", "1,001": "1001", "negative": "-1", "text": "x", "a float": "1.5",
    "a whole float": "1.0", "empty": "", "thirty digits": "9" * 30, "a space before": "%205",
    "a plus": "%2B5", "an exponent": "1e2", "an underscore": "1_0", "Arabic": "%D9%A3",
    "a NUL": "%00", "leading zeros": "005", "true": "true", "5,000 digits": "9" * 5_000,
}  # fmt: skip
CURSOR: Mistakes = {
    "nonsense": "x", "empty": "", "a number": "5", "negative": "-1", "nineteen digits": "9" * 19,
    "not ASCII": "%C3%A9", "a NUL": "%00", "a lone surrogate": "%ED%A0%80", "no UTF-8": "%FF",
    "2,048 characters": "A" * 2_048, "2,049 characters": "A" * 2_049, "an empty list": "W10",
    "a list of text": "WyJhIl0", "a list of a number and text": "WzEsIiJd",
}  # fmt: skip
TOKEN_CURSOR: Mistakes = {
    "nonsense": "x", "empty": "", "before all": "-1", "not ASCII": "%C3%A9", "a NUL": "%00",
    "a lone surrogate": "%ED%A0%80", "no UTF-8": "%FF", "512 characters": "x" * 512,
    "513 characters": "x" * 513, "2,049 characters": "x" * 2_049,
}  # fmt: skip
"""Of a list in the order of hexadecimal ids: nothing that lies between them."""
INSTANT_TEXT: Mistakes = {
    "nonsense": "soon", "empty": "", "zero": "0", "negative": "-5", "now": str(NOW_MS), "the past": "5",
    "the last": str(END_MS - 1), "after the last": str(END_MS), "fifteen digits": "9" * 15,
    "sixteen digits": "9" * 16, "a float": "1.5", "a date": "2024-05-01", "RFC 3339": "2024-05-01T00:00:00Z",
    "RFC 3339 in the future": "2024-06-01T00:00:00Z", "RFC 3339 without a zone": "2024-05-01T00:00:00",
    "RFC 3339 with an offset": "2024-05-01T02:00:00%2B02:00",
    "RFC 3339 with a plus that is a space": "2024-05-01T02:00:00+02:00",
    "RFC 3339 with a space": "2024-05-01%2000:00:00z", "noon": "2024-05-01Tnoon", "65 characters": "2" * 65,
    "a NUL": "%00", "a lone surrogate": "%ED%A0%80", "a new line after it": f"{NOW_MS}%0A",
    "Arabic digits": "%D9%A5",
}  # fmt: skip
TEXT: Mistakes = {
    "unknown": "nobody", "empty": "", "a NUL": "a%00b", "a lone surrogate": "%ED%A0%80", "no UTF-8": "%FF",
    "512 characters": "n" * 512, "513 characters": "n" * 513, "514 bytes of 257 characters": "%C3%A9" * 257,
    "a slash": "a%2Fb", "not ASCII": "j%C3%B6",
}  # fmt: skip
BOOLEAN_TEXT: Mistakes = {
    one: one
    for one in (
        "true",
        "false",
        "True",
        "FALSE",
        "1",
        "0",
        "yes",
        "no",
        "on",
        "off",
        "t",
        "2",
        "",
        "x",
        "null",
    )
}
PER_TEXT: Mistakes = {
    **{one: one for one in ("minute", "hour", "day", "week", "month", "year", "Day", "quarter", "")},
    "33 characters": "n" * 33, "a number before it": "3%20months", "a NUL": "%00", "surrogate": "%ED%A0%80",
}  # fmt: skip
WINDOW_TEXT: Mistakes = {
    one: one for one in ("hour", "day", "month", "Day", "week", "%00", "%ED%A0%80", "day%2F")
}
COUNT_TEXT: Mistakes = {
    "0": "0", "5": "5", "100,000": "100000", "negative": "-1", "text": "x", "empty": "", "a float": "1.5",
    "a whole float": "1.0", "the most": str((1 << 62) - 1), "over the most": str(1 << 62),
    "thirty digits": "9" * 30, "5,000 digits": "9" * 5_000, "a space before": "%205", "an underscore": "1_0",
}  # fmt: skip

# Parts of paths, as they stand in the address.

PART: Mistakes = {
    "unknown": "nobody", "no UTF-8": "%FF", "a NUL": "a%00b", "a lone surrogate": "%ED%A0%80",
    "512 characters": "n" * 512, "513 characters": "n" * 513, "514 bytes of 257 characters": "%C3%A9" * 257,
    "a slash": "a%2Fb", "two dots": "%2E%2E", "a percent sign": "100%25", "a bare percent sign": "100%",
    "no hexadecimal": "%zz", "not ASCII": "j%C3%B6%F0%9F%92%A9", "a plus": "a+b",
    "a colon": "customers:batch", "a semicolon": "a;b=c",
}  # fmt: skip
EXPORT_PART: Mistakes = {
    **{one: one for one in ("x", "1-2-3-4", "1-2-3-4-5-6", "1-2-3-4--5", "0-0-0-0-0", "%D9%A1-2-3-4-5")},
    "nineteen digits": "1-2-3-4-" + "9" * 19, "over 63 bits": f"0-5-5-5-{1 << 63}",
    "a long beginning": "1" * 17 + "-2-3-4-5", "129 characters": "1" * 129, "128 characters": "1" * 128,
    "a new line after it": "0-5-5-5-5%0A", "a NUL": "0-5-5-5-5%00", "no UTF-8": "%FF",
    "backwards": "9-5-5-5-5",
}  # fmt: skip
WINDOW_PART: Mistakes = {
    "hour": "hour", "month": "month", "week": "week", "Day": "Day", "a NUL": "day%00", "no UTF-8": "%FF",
    "encoded": "%64ay", "an encoded slash": "day%2F", "513 characters": "n" * 513,
}  # fmt: skip
