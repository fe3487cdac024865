from __future__ import annotations

from typing import Any

import pytest

from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.manifest.sources import InlineSource, NamedSource, UrlSource, expand, read_source
from rpe.manifest.sources.urls import parse_url
from tests.manifest.sources.hostile import MANIFEST

RAW = MANIFEST.to_dict()
URL = "https://host.test/p.json"


def tagged(kind: str, **fields: Any) -> dict[str, Any]:
    return {"manifest_source": {"type": kind, **fields}}


@pytest.mark.parametrize(
    "params", [{"manifest": RAW}, tagged("inline", manifest=RAW), tagged("Inline", manifest=MANIFEST)]
)
def test_inline(params: dict[str, Any]) -> None:
    assert read_source(params) == InlineSource(MANIFEST)


@pytest.mark.parametrize(
    "params",
    [
        {"manifest_url": URL, "auth_header": "Bearer x"},
        tagged("url", url=URL, auth_header="Bearer x"),
        tagged("url", manifest_url=URL + "#part", auth_header="Bearer x"),
    ],
)
def test_url(params: dict[str, Any]) -> None:
    source = read_source(params)
    assert isinstance(source, UrlSource)
    assert (source.url.text, source.auth_header) == (URL, "Bearer x")
    assert "Bearer" not in repr(source)


@pytest.mark.parametrize(
    ("params", "url"),
    [
        ({"pipeline_name": "tts", "manifest_endpoint": "https://h.test"}, "https://h.test/manifests/tts"),
        (tagged("name", name="a/b c", manifest_endpoint="http://h.test:81/v1/"), "http://h.test:81/v1/manifests/a%2Fb%20c"),
        (tagged("name", pipeline_name="tts", manifest_endpoint="HTTPS://H.test:443"), "https://h.test/manifests/tts"),
    ],
)  # fmt: skip
def test_name_with_an_endpoint(params: dict[str, Any], url: str) -> None:
    source = read_source(params)
    assert isinstance(source, UrlSource)
    assert source.url.text == url


@pytest.mark.parametrize("params", [{"pipeline_name": "tts"}, tagged("name", name="tts")])
def test_name_without_an_endpoint(params: dict[str, Any]) -> None:
    assert read_source(params) == NamedSource("tts")


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "params needs one of manifest, manifest_url, pipeline_name or manifest_source, but has none"),
        ({"manifest": RAW, "manifest_url": URL}, "but has manifest and manifest_url"),
        ({"manifest": RAW} | tagged("url", url=URL), "params.manifest_source stands beside manifest"),
        ({"manifest_source": "x"}, "params.manifest_source must be an object, not str"),
        (tagged("ftp"), "params.manifest_source.type must be one of inline, url, name"),
        (tagged("url"), "params.manifest_source needs url or manifest_url"),
        (tagged("url", url=URL, manifest_url=URL), "url or manifest_url, not both"),
        ({"manifest": {"version": "v1"}}, "params.manifest: nodes must hold at least one node"),
        ({"manifest_url": 3}, "params.manifest_url must be a URL, not int"),
        ({"manifest_url": "ftp://h/x"}, "params.manifest_url cannot be fetched from: only http and https"),
        ({"manifest_url": "/etc/passwd"}, "only http and https are fetched, not a URL without scheme"),
        ({"manifest_url": "https://u:planted@h/x"}, "credentials belong in auth_header"),
        ({"manifest_url": "https://planted@[x/"}, "it is not a URL"),
        ({"manifest_url": "https://h:99999/"}, "it is not a URL"),
        ({"manifest_url": "https:///x"}, "it names no host"),
        ({"manifest_url": "http://127.1/"}, "neither a name nor an address"),
        ({"manifest_url": "http://0x7f000001/"}, "neither a name nor an address"),
        ({"manifest_url": "http://h/\u00e9"}, "percent-encode"),
        ({"manifest_url": "http://${HOST}/ x"}, "percent-encode"),
        ({"manifest_url": URL, "auth_header": ""}, "params.auth_header must be the text"),
        ({"pipeline_name": " "}, "params.pipeline_name must be a name"),
        ({"pipeline_name": "..", "manifest_endpoint": "http://h"}, "'..' is no name of a pipeline"),
        ({"pipeline_name": "a", "manifest_endpoint": "http://h?x=planted"}, "must end with its path"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read_source(params)
    assert problem in str(caught.value)
    assert "planted" not in str(caught.value)


def test_params_of_a_node_are_read_as_they_are_kept() -> None:
    node = Manifest.single("far", node_type="RemotePipelineNode", manifest=RAW).nodes[0]
    assert read_source(node.params) == InlineSource(MANIFEST)


def test_a_url_shows_no_query() -> None:
    source = read_source({"manifest_url": URL + "?sig=planted"})
    assert isinstance(source, UrlSource)
    assert source.url.text.endswith("?sig=planted")
    assert str(source.url) == URL + "?..."
    assert "planted" not in repr(source)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("HTTP://Host.Test.:80?a=1#b", "http://host.test/?a=1"),
        ("http://[2001:DB8::1]:8080/p", "http://[2001:db8::1]:8080/p"),
        ("https://h.test:443/a/", "https://h.test/a/"),
    ],
)
def test_equal_urls_are_written_alike(written: str, normal: str) -> None:
    assert parse_url(written).text == parse_url(normal).text == normal


def test_variables_are_replaced_once() -> None:
    environment = {"A": "${B}", "B": "x", "EMPTY": ""}
    assert expand("Bearer ${A}${B}${EMPTY} $C", environment, "auth_header") == "Bearer ${B}x $C"


def test_unknown_variables_are_named_and_values_are_not() -> None:
    with pytest.raises(ConfigurationError, match=r"auth_token asks for .*not set: NO, NONE\n") as caught:
        expand("${NONE}${KNOWN}${NO}", {"KNOWN": "planted"}, "auth_token")
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1}", "${A}${A B}"])
def test_what_begins_no_variable(text: str) -> None:
    with pytest.raises(ConfigurationError, match="begins no variable"):
        expand(text, {"A": "x"}, "auth_header")


def test_only_the_header_is_expanded() -> None:
    source = read_source({"manifest_url": "https://h.test/${A}", "auth_header": "Bearer ${A}"})
    expanded = source.expanded({"A": "secret"})
    assert isinstance(expanded, UrlSource)
    assert expanded.auth_header == "Bearer secret"
    assert expanded.url.text == "https://h.test/${A}"
    assert "secret" not in repr(expanded)
