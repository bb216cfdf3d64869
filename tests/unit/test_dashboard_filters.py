from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.filters import Age, Filters, Show, search_query
from shared.contracts import Tier, Urgency
from shared.taxonomy import Taxonomy

TAXONOMY = Taxonomy.load()


def read(link: str) -> Filters:
    return Filters.from_args(dict(parse_qsl(urlsplit(link).query)), TAXONOMY)


@given(
    st.builds(
        Filters,
        show=st.sampled_from(Show),
        urgency=st.none() | st.sampled_from(Urgency),
        pool=st.none() | st.sampled_from([pool.name for pool in TAXONOMY.pools]),
        category=st.none() | st.sampled_from(TAXONOMY.category_names),
        tier=st.none() | st.sampled_from(Tier),
        age=st.none() | st.sampled_from(Age),
        unread=st.booleans(),
        mine=st.booleans(),
        q=st.text(max_size=40).map(lambda words: " ".join(words.replace("\0", "").split())),
    )
)
def test_a_list_is_what_its_link_says(filters: Filters) -> None:
    try:
        link = filters.link()
    except UnicodeEncodeError:  # lone surrogates cannot be in a link
        return
    assert read(link) == filters


def test_what_a_link_cannot_mean_is_left_out() -> None:
    assert read("/?show=hidden&pool=navy&category=weather&urgency=soon&age=old") == Filters()


def test_changing_one_filter_keeps_the_others() -> None:
    link = Filters(unread=True, pool="billing").link(show=Show.DONE)

    assert read(link) == Filters(unread=True, pool="billing", show=Show.DONE)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("refill lisin", "'refill':* & 'lisin':*"),
        ("o'brien & !x", "'o':* & 'brien':* & 'x':*"),
        ("¿Dónde?", "'Dónde':*"),
        ("!&|", None),
        ("", None),
    ],
)
def test_searched_words_never_become_operators(words: str, query: str | None) -> None:
    assert search_query(words) == query
