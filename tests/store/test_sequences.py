"""What number is expected next, on each engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gateway.store import Hub, Transaction


def test_what_is_expected_is_kept_by_agency_and_link(hub: Hub) -> None:
    hub.write(lambda tx: tx.expect("a", "EHR\nX", -1))
    hub.write(lambda tx: tx.expect("a", "EHR\nX", 7))
    hub.write(lambda tx: tx.expect("b", "EHR\nX", 1))
    found = [("a", "EHR\nX"), ("b", "EHR\nX"), ("a", "LAB\nX"), ("c", "EHR\nX")]
    assert [hub.write(lambda tx, at=at: tx.expected(*at)) for at in found] == [7, 1, None, None]


def test_units_at_the_same_time_each_get_a_number_of_their_own(hub: Hub) -> None:
    def next_one(tx: Transaction) -> int:
        number = tx.expected("a", "link") or 1
        tx.expect("a", "link", number + 1)
        return number

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: hub.write(next_one), range(64)))
    assert sorted(taken) == list(range(1, 65))
