"""The OpenAPI document holds for what is asked by its rules, and against them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from serving import Server

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

ASKED = ("/v1/models", "/healthz", "/metrics")
SENT = ("/v1/recognize", "/v1/transcripts")
CASES = [(path, "positive") for path in (*ASKED, *SENT)] + [(path, "negative") for path in SENT]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "mode"), CASES)
def test_the_document_holds(server: Server, path: str, mode: str) -> None:
    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    assert set(document) == {*ASKED, *SENT}
    (operation,) = document[path].values()
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
    # No schema can say what is a video, or which letters spell a text.
    left_out = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]

    @given(strategy)
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(case: Any) -> None:
        case.call_and_validate(excluded_checks=left_out if path in SENT else [])

    holds()
