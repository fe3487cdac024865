from __future__ import annotations

import pytest

from rpe.errors import ConfigurationError
from rpe.manifest.sources import FetchSettings
from rpe.manifest.sources.addresses import AddressRefused, AddressRules


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "168.63.129.16",
        "100.100.100.200", "192.0.0.192", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "::127.0.0.1",
        "fec0::1", "x",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match=address.replace(".", r"\.")):
        AddressRules().check(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_pass(address: str) -> None:
    AddressRules().check(address)


def test_a_network_is_an_exception_and_nothing_else_is() -> None:
    rules = AddressRules(["10.0.0.0/8", "::1"])
    for address in ("10.9.9.9", "::ffff:10.0.0.1", "::1"):
        rules.check(address)
    for address in ("127.0.0.1", "192.168.0.1", "fe80::1", "169.254.169.254", "168.63.129.16"):
        with pytest.raises(AddressRefused):
            rules.check(address)


@pytest.mark.parametrize(
    "wrong",
    [{"allowed_networks": ("10.0.0.1/8",)}, {"max_bytes": 0}, {"total_timeout_s": 0.0}, {"max_redirects": -1},
     {"ttl_s": float("nan")}],
)  # fmt: skip
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        FetchSettings(**wrong)  # type: ignore[arg-type]


def test_hosts_of_the_list() -> None:
    settings = FetchSettings(allowed_hosts=("a.test", "*.B.test"))
    hosts = ("a.test", "x.b.test", "b.test", "xa.test", "x.a.test", "xb.test")
    assert [host for host in hosts if settings.allows_host(host)] == ["a.test", "x.b.test"]
