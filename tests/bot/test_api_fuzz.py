"""Requests that nobody thought of: no operation may fail, nor answer what the document does not say."""

from collections.abc import Generator
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from bot.api.openapi import document
from tests.bot.test_api_matrix import fill
from tests.calling import Site, api_site
from tests.valkey import Valkey

_OURS: Any = checks
_OF_DOCUMENT: Any = openapi_checks


def refused(context: Any, response: Any, case: Any) -> bool | None:
    """What does not fit is refused; schemathesis does not know that a body may be too large, too."""
    return (
        None if response.status_code == 413 else _OF_DOCUMENT.negative_data_rejection(context, response, case)
    )


CHECKS: list[Any] = [
    _OURS.not_a_server_error,
    _OF_DOCUMENT.status_code_conformance,
    _OF_DOCUMENT.content_type_conformance,
    _OF_DOCUMENT.response_schema_conformance,
    _OF_DOCUMENT.response_headers_conformance,
    refused,
]
SCOPED = ("OfApp", "InProject", "InOrg")


def operations() -> list[str]:
    """Each operation once: at other addresses it is the same. What streams has no JSON to look at."""
    found = [one["operationId"] for methods in document()["paths"].values() for one in methods.values()]
    return [one for one in found if not one.endswith(SCOPED) and one != "streamDeployment"]


@cache
def described() -> Any:
    return schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with Valkey() as valkey, api_site(tmp_path_factory.mktemp("home"), valkey.url) as site:
        fill(site)
        yield site


def attack(site: Site, operation: str, examples: int) -> None:
    for found in described().include(operation_id=operation).get_all_operations():
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            send(site, found.ok(), mode, examples)


def send(site: Site, operation: Any, mode: GenerationMode, examples: int) -> None:
    """Send what fits the document, or what does not, which must be refused."""
    headers = {"authorization": site.owner.http.headers["authorization"]}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
            HealthCheck.data_too_large,
        ],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        case.call_and_validate(base_url=site.url, headers=headers, checks=CHECKS)

    attempt()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operation", operations())
def test_whatever_is_sent_is_answered_as_documented(site: Site, operation: str):
    attack(site, operation, 3)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operation", operations())
def test_whatever_is_sent_often_is_answered_as_documented(site: Site, operation: str):
    attack(site, operation, 80)
