"""fhir-pyrate: searches that become tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.clients import referral
from tests.api.clients.referral import Place

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fhir_pyrate = pytest.importorskip("fhir_pyrate", reason="pip install fhir-pyrate")

pytestmark = pytest.mark.filterwarnings(
    "ignore:We detected multiple pages:UserWarning", "ignore::DeprecationWarning"
)


@pytest.fixture(scope="module")
def pirate(place: Place) -> Iterator[Any]:
    auth = fhir_pyrate.Ahoy(token=place.requester)
    with fhir_pyrate.Pirate(place.base, auth, print_request_url=False) as pirate, auth:
        yield pirate


@pytest.fixture(scope="module")
def family(place: Place) -> str:
    """Five patients of one name, each with a request."""
    family = f"Sailor{referral.number()}"
    headers = {"authorization": f"Bearer {place.requester}"}
    with httpx.Client(base_url=place.base, headers=headers, trust_env=False) as client:
        for _ in range(5):
            sent = referral.transaction(referral.number())
            sent["entry"][0]["resource"]["name"] = [{"family": family}]
            assert client.post("", json=sent).status_code == 200
    return family


def test_all_pages_become_one_table(pirate: Any, family: str) -> None:
    asked = {"family": family, "_count": 2}
    table = pirate.steal_bundles_to_dataframe("Patient", asked)
    assert len(table) == len(set(table["id"])) == 5
    assert set(table["name_0_family"]) == {family}


def test_a_table_is_made_by_fhirpath(pirate: Any, family: str) -> None:
    paths = ["id", ("family", "Patient.name.family"), ("born", "birthDate")]
    table = pirate.steal_bundles_to_dataframe("Patient", {"family": family}, fhir_paths=paths)
    assert list(table.columns) == ["id", "family", "born"]
    assert len(table) == 5


def test_each_row_asks_for_what_belongs_to_it(pirate: Any, family: str) -> None:
    patients = pirate.steal_bundles_to_dataframe("Patient", {"family": family}, fhir_paths=["id"])
    asked = pirate.trade_rows_for_dataframe(
        patients,
        "ServiceRequest",
        df_constraints={"subject": "id"},
        fhir_paths=[("request", "id"), ("status", "status")],
    )
    assert len(asked) == 5
    assert set(asked["status"]) == {"active"}


def test_a_span_of_time_is_cut_into_pieces(pirate: Any, family: str) -> None:
    found = pirate.sail_through_search_space_to_dataframe(
        "Patient",
        "_lastUpdated",
        date_init="2020-01-01",
        date_end="2100-01-01",
        request_params={"family": family, "_count": 3},
    )
    assert len(found) == 5


def test_totals_are_counted(pirate: Any, family: str) -> None:
    assert pirate.get_bundle_total("Patient", {"family": family, "_summary": "count"}) == 5
    assert pirate.get_bundle_total("Patient", {"family": family, "_total": "accurate"}) == 5
