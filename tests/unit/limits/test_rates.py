"""The settings table of limits: what may be written, and what is said where it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.limits.rates import ACTIONS, DEFAULT_LIMITS, SCOPES, Limit, Rate, parse_limit, parse_limits


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5/minute per client", Limit(Rate(5, 60), "client")),
        ("30/hour per client", Limit(Rate(30, 3600), "client")),
        ("60/minute per article", Limit(Rate(60, 60), "article")),
        ("20/minute burst 5 per source-host", Limit(Rate(20, 60, 5), "source-host")),
        ("10/5 minutes per author", Limit(Rate(10, 300), "author")),
        ("1/10 seconds per site", Limit(Rate(1, 10), "site")),
        ("100/day per site", Limit(Rate(100, 86400), "site")),
        ("  5 / Minute   per CLIENT ", Limit(Rate(5, 60), "client")),
    ],
)
def test_limits_are_parsed(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5 per client", 'write it like "5/minute per client"'),
        ("", "is not a limit"),
        ("5/minute", "is not a limit"),
        ("five/minute per client", "is not a limit"),
        ("5/fortnight per client", "units are second, minute, hour and day"),
        ("5/minute per planet", "scopes are client, author, source-host, article, site"),
        ("0/minute per client", "must be 1 or more"),
        ("5/0 minutes per client", "must be 1 or more"),
        ("5/minute burst 0 per client", "must be 1 or more"),
        ("1/365 days per client", "more than 31 days to refill"),
        ("1/day burst 1000 per client", "more than 31 days to refill"),
        ("٥/minute per client", "is not a limit"),
        ("5/minute per client; drop", "is not a limit"),
        ("9" * 5000 + "/minute per client", "is not a limit"),
    ],
)
def test_an_invalid_limit_is_refused_with_the_accepted_forms(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="comments: ") as wrong:
        parse_limits({"comments": [text]})
    assert said in str(wrong.value)


@given(st.integers(1, 9999), st.integers(1, 86400), st.integers(0, 20), st.sampled_from(SCOPES))
def test_the_canonical_text_parses_to_the_same_limit(count: int, seconds: int, burst: int, scope: str) -> None:
    limit = Limit(Rate(count, seconds, burst), scope)
    if limit.rate.capacity * seconds <= count * 31 * 86400:
        assert parse_limit(limit.text) == limit


def test_the_error_for_an_unknown_action_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no action 'coments'; actions are comments, pings"):
        parse_limits({"coments": ["5/minute per client"]})


@pytest.mark.parametrize("row", ["5/minute per client", [5], [None]])
def test_a_row_must_be_a_list_of_texts(row: object) -> None:
    with pytest.raises(ValueError, match="comments: give a list of texts"):
        parse_limits({"comments": row})


def test_a_repeated_limit_is_reported() -> None:
    with pytest.raises(ValueError, match="'60/minute per client' stands there twice"):
        parse_limits({"comments": ["60/minute per client", "60/60 seconds per client"]})


def test_a_table_replaces_the_whole_default() -> None:
    table = parse_limits({"comments": ["5/minute per client"]})
    assert [table.row(action).limits for action in ACTIONS if action != "comments"] == [()] * (len(ACTIONS) - 1)


def test_the_row_for_pings_applies_to_each_protocol_without_a_row_of_its_own() -> None:
    table = parse_limits({"pings": ["20/minute per source-host"], "webmention": ["9/minute per source-host"]})
    assert table.row("trackback").name == table.row("pingback").name == "pings"
    assert table.row("webmention").name == "webmention"


def test_an_unknown_action_raises_an_error_instead_of_being_unlimited() -> None:
    with pytest.raises(KeyError):
        parse_limits({}).row("commments")


def test_the_defaults_are_valid_and_let_no_single_client_use_up_a_shared_budget() -> None:
    table = parse_limits(DEFAULT_LIMITS)
    assert table.remarks() == ()
    assert table.row("reads").limits == ()
    assert all(table.row(action).limits for action in ACTIONS if action != "reads")


@pytest.mark.parametrize("own", [[], ["60/minute per client"], ["1/minute burst 60 per client"]])
def test_a_warning_names_a_shared_budget_that_one_client_could_use_up(own: list[str]) -> None:
    (remark,) = parse_limits({"comments": [*own, "60/minute per article"]}).remarks()
    assert remark.startswith("comments: one client alone can use up '60/minute per article'")
