"""The queue of boundaries and of the burn order: a sorted list by another way."""

from __future__ import annotations

from bisect import bisect_left, insort

from hypothesis import given
from hypothesis import strategies as st

from fastcheck.ledger.inorder import InOrder

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 9)),
        st.tuples(st.just("add_all"), st.lists(st.integers(0, 9), max_size=6)),
        st.tuples(st.just("pop_before"), st.integers(0, 10)),
        st.tuples(st.just("pop"), st.none()),
    )
)


@given(st.lists(st.integers(0, 9)), STEPS)
def test_it_gives_what_a_sorted_list_gives(begin: list[int], steps: list[tuple[str, object]]) -> None:
    queue, model = InOrder(begin), sorted(begin)
    for step, value in steps:
        if isinstance(value, list):
            queue.add_all(value)
            model = sorted([*model, *value])
        elif step == "add" and isinstance(value, int):
            queue.add(value)
            insort(model, value)
        elif isinstance(value, int):
            expected = model.pop(0) if bisect_left(model, value) else None
            assert queue.pop_before(value) == expected
        elif model:
            assert queue.pop() == model.pop(0)
        assert queue.first() == (model[0] if model else None)
    assert [queue.pop() for _ in model] == model
