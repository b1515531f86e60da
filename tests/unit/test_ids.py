"""Ids: derived, stable, distinct."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.telemetry.ids import span_id, trace_id

_parts = st.text(alphabet=st.characters(exclude_characters="\0"), max_size=12)
_keys = st.lists(_parts, min_size=2, max_size=6).map(tuple)


def test_ids_of_a_known_run_never_change() -> None:
    """Whoever changes the derivation makes every destination hold its runs twice."""
    session = "cron_6c583f72f2e8_20261121_110151"
    assert f"{trace_id('default', session):032x}" == "b69f67c4cd3dc5101c011f0c11f16f1c"
    assert f"{span_id('default', session):016x}" == "eb9a489a31e30b3a"
    assert f"{span_id('default', session, 'chat', session, '0'):016x}" == "1d301b0379379ce5"


@given(_keys)
def test_ids_fit_their_fields_and_are_never_zero(key: tuple[str, ...]) -> None:
    profile, identity, *path = key
    assert 0 < trace_id(profile, identity) < 2**128
    assert 0 < span_id(profile, identity, *path) < 2**64


@given(_keys, _keys)
def test_different_parts_make_different_ids(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    same = one == other
    assert (span_id(one[0], *one[1:]) == span_id(other[0], *other[1:])) is same


def test_parts_are_separated() -> None:
    """`run 1, attempt 12` is not `run 11, attempt 2`."""
    assert span_id("p", "1", "12") != span_id("p", "11", "2")
    assert trace_id("a", "bc") != trace_id("ab", "c")


def test_profiles_of_one_machine_keep_their_runs_apart() -> None:
    session = "cron_6c583f72f2e8_20261121_110151"
    assert trace_id("default", session) != trace_id("work", session)


def test_a_name_that_is_no_valid_unicode_still_gives_an_id() -> None:
    assert trace_id("default", "\ud800") != 0
