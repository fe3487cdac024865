from __future__ import annotations

import pytest

from examples.voice.organisations import Organisation
from rpe import connect
from rpe.client.settings import ClientSettings
from rpe.data import Text
from rpe.errors import AuthenticationFailed, ConnectFailed, RpeError
from rpe.manifest.model import Manifest
from rpe.policy.retry import RetrySettings
from rpe.transport.ports import TlsSettings

TEMPLATE = Manifest.single("n", node_type="Template", template="<{text}>")


@pytest.mark.parametrize("transport", ["grpc", "http", "webrtc"])
async def test_an_organisation_lets_in_who_knows_it_and_does_what_it_is_there_for(transport: str) -> None:
    home, other = Organisation("A", transport, ["Template"]), Organisation("B", transport, [])
    try:
        await home.start(1)
        (replica,) = home.replicas

        async def ask(
            manifest: Manifest, *, token: Organisation = home, trust: Organisation = home
        ) -> object:
            async with connect(
                [replica.endpoint],
                transport=transport,
                settings=ClientSettings(retry=RetrySettings(max_retries=0)),
                token=token.environment[f"{token.name}_TOKEN"],
                tls=TlsSettings(root_certificates=trust.certificate),
            ) as client:
                return (await client.execute(manifest, Text("a"))).outputs["output"]

        assert await ask(TEMPLATE) == Text("<a>")
        with pytest.raises(AuthenticationFailed):
            await ask(TEMPLATE, token=other)
        with pytest.raises(ConnectFailed):
            await ask(TEMPLATE, trust=other)
        with pytest.raises(RpeError, match="EspeakNg"):
            await ask(Manifest.single("n", node_type="EspeakNg"))
        assert home.environment["A_TOKEN"] not in repr(vars(replica))
    finally:
        for replica in home.replicas:
            await replica.end()
