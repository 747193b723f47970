"""Requests that nobody thought of: no operation may fail, nor answer what the document does not say."""

import warnings
from collections.abc import Generator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.api.openapi import document
from tests.bot.test_api_matrix import fill
from tests.calling import Site, api_site

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_STREAMS = {"streamDeployment", "streamDeploymentOfApp", "streamDeploymentInProject"}


def _operations() -> list[str]:
    return [
        described["operationId"]
        for methods in document()["paths"].values()
        for described in methods.values()
        if described["operationId"] not in _STREAMS
        # The others are the same operations with their scope written out.
        and not described["operationId"].endswith(("OfApp", "InProject", "InOrg"))
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        fill(site)
        yield site


@pytest.mark.parametrize("operation", _operations())
def test_whatever_is_sent_is_answered_as_documented(site: Site, operation: str):
    schema = schemathesis.openapi.from_dict(document())
    described = schema.include(operation_id=operation)
    headers = dict(site.owner.http.headers)
    for found in described.get_all_operations():
        strategy = found.ok().as_strategy()

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @__import__("hypothesis").given(case=strategy)
        def attack(case) -> None:
            case.call_and_validate(base_url=site.url, headers=headers, checks=_CHECKS)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attack()
