from __future__ import annotations

import pytest


@pytest.fixture(params=("grpc", "http", "webrtc"))
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)
