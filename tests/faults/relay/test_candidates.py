"""Candidates and descriptions with the relay's addresses in them."""

from __future__ import annotations

import pytest

from rpe.faults.relay.candidates import rewritten_candidate, rewritten_sdp

HOST = "candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host"
SRFLX = "candidate:2 1 UDP 1694498815 192.0.2.7 6000 typ srflx raddr 10.0.0.1 rport 5000 generation 0"
OTHERS = {
    "tcp": "candidate:3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
    "relayed": "candidate:4 1 udp 41885439 192.0.2.9 7000 typ relay raddr 192.0.2.7 rport 6000",
    "a name": "candidate:5 1 udp 2113937151 0b3c7b7a-1111-4222-8333-444455556666.local 5000 typ host",
    "IPv6": "candidate:6 1 udp 2130706431 ::1 5000 typ host",
    "no port": "candidate:7 1 udp 2130706431 127.0.0.1 0 typ host",
    "no address": "candidate:8 1 udp 2130706431 0.0.0.0 5000 typ host",
}


def shifted(address: tuple[str, int]) -> tuple[str, int]:
    return "127.0.0.1", address[1] + 10_000


def test_host_and_reflexive_candidates_get_the_address_of_the_relay() -> None:
    assert rewritten_candidate(HOST, shifted) == HOST.replace("5000", "15000")
    assert rewritten_candidate("a=" + HOST, shifted) == "a=" + HOST.replace("5000", "15000")
    assert rewritten_candidate(HOST.removeprefix("candidate:"), shifted) == HOST.replace(
        "5000", "15000"
    ).removeprefix("candidate:")
    assert rewritten_candidate(SRFLX, shifted) == (
        "candidate:2 1 UDP 1694498815 127.0.0.1 16000 typ srflx raddr 0.0.0.0 rport 9 generation 0"
    )


@pytest.mark.parametrize("line", OTHERS.values(), ids=OTHERS)
def test_what_would_go_around_the_relay_is_left_out(line: str) -> None:
    assert rewritten_candidate(line, shifted) is None
    assert rewritten_sdp(f"m=audio 9 X 0\r\na={line}\r\n", shifted) == "m=audio 9 X 0\r\n"


@pytest.mark.parametrize(
    "line", ["", "candidate:", "nonsense", "candidate:1 1 udp x 127.0.0.1 port typ host"]
)
def test_what_is_no_candidate_is_left_to_the_agent(line: str) -> None:
    assert rewritten_candidate(line, shifted) == line


def test_a_candidate_that_there_is_no_room_for_is_left_out() -> None:
    assert rewritten_candidate(HOST, lambda _: None) is None


def test_a_description_is_rewritten_wherever_it_says_an_address() -> None:
    sdp = "\r\n".join(
        [
            "v=0",
            "o=- 1 2 IN IP4 0.0.0.0",
            "c=IN IP4 198.51.100.1",
            "m=audio 5000 UDP/TLS/RTP/SAVPF 96",
            "c=IN IP4 127.0.0.1",
            "a=rtcp:5001 IN IP4 127.0.0.1",
            "a=" + HOST,
            "a=" + OTHERS["relayed"],
            "a=" + SRFLX,
            "a=remote-candidates:1 192.0.2.3 4000",
            "a=end-of-candidates",
            "m=application 7000 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 192.0.2.9",
            "m=video 0 UDP/TLS/RTP/SAVPF 97",
            "",
        ]
    )
    assert rewritten_sdp(sdp, shifted).split("\r\n") == [
        "v=0",
        "o=- 1 2 IN IP4 0.0.0.0",
        "c=IN IP4 127.0.0.1",
        "m=audio 15000 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 127.0.0.1",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 15000 typ host",
        "a=candidate:2 1 UDP 1694498815 127.0.0.1 16000 typ srflx raddr 0.0.0.0 rport 9 generation 0",
        "a=end-of-candidates",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "m=video 0 UDP/TLS/RTP/SAVPF 97",
        "",
    ]


@pytest.mark.parametrize("sdp", ["", "nonsense", "m=", "m=audio", "\n\n", "a=candidate:"])
def test_rubbish_passes_without_an_error(sdp: str) -> None:
    assert rewritten_sdp(sdp, shifted).split() == sdp.split()
