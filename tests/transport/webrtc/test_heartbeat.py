"""When a peer is asked, when it is suspected, and when it is given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.webrtc.heartbeat import Heartbeat, PeerState, Verdict


def run(heartbeat: Heartbeat, from_s: float, to_s: float) -> tuple[list[float], Verdict, float]:
    """Let time pass as the heartbeat asks: when it pinged, its last verdict, and when that was."""
    pings, now_s = [], from_s
    while True:
        verdict = heartbeat.check(now_s)
        if verdict.ping:
            pings.append(round(now_s, 2))
        if verdict.state is PeerState.DEAD or now_s + verdict.again_s > to_s:
            return pings, verdict, now_s
        now_s += verdict.again_s


def test_silence_is_asked_about_suspected_and_given_up() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 100.0)
    pings, verdict, _ = run(heartbeat, 100.0, 101.99)
    assert (pings, verdict.state) == ([101.0], PeerState.LIVE)
    pings, verdict, _ = run(heartbeat, 102.0, 104.9)
    assert (pings, verdict.state) == ([102.0, 103.0, 104.0], PeerState.DISCONNECTED)
    _, verdict, when_s = run(heartbeat, 104.9, 200.0)
    assert (verdict.state, round(when_s, 2)) == (PeerState.DEAD, 105.0)
    assert "5.0 s" in verdict.reason


def test_a_sign_of_life_takes_suspicion_away() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    run(heartbeat, 0.0, 3.0)
    heartbeat.heard(3.1)
    assert heartbeat.check(3.2).state is PeerState.LIVE
    assert not heartbeat.check(3.9).ping
    assert heartbeat.check(4.2).ping


@given(st.lists(st.floats(0.05, 0.99), min_size=1, max_size=50))
def test_a_peer_that_is_heard_within_each_interval_is_never_asked(gaps_s: list[float]) -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    now_s = 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        verdict = heartbeat.check(now_s)
        assert (verdict.state, verdict.ping) == (PeerState.LIVE, False)
        heartbeat.heard(now_s)


def test_without_signalling_it_is_asked_several_times_and_soon_given_up() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    heartbeat.heard(9.9)
    heartbeat.signalling_lost(10.0)
    pings, verdict, when_s = run(heartbeat, 10.0, 20.0)
    assert pings == [10.0, 10.1, 10.2, 10.3, 10.4]
    assert (verdict.state, round(when_s, 2)) == (PeerState.DEAD, 10.5)
    assert "signalling" in verdict.reason


def test_what_was_under_way_when_it_died_is_no_answer() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    heartbeat.answered(heartbeat.pings, 9.9)
    heartbeat.signalling_lost(10.0)
    heartbeat.heard(10.1)
    heartbeat.answered(0, 10.15)
    _, verdict, _ = run(heartbeat, 10.0, 10.6)
    assert verdict.state is PeerState.DEAD


def test_without_signalling_it_lives_on_as_long_as_it_answers() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    heartbeat.heard(10.0)
    heartbeat.signalling_lost(10.0)
    assert heartbeat.check(10.0).ping
    heartbeat.answered(1, 10.02)
    pings, verdict, _ = run(heartbeat, 10.1, 11.5)
    assert (pings, verdict.state) == ([11.02], PeerState.LIVE)


def test_traffic_that_goes_on_is_life_where_pings_are_lost() -> None:
    heartbeat = Heartbeat(1.0, 5.0, 0.0)
    heartbeat.signalling_lost(10.0)
    heartbeat.heard(10.0)
    for step in range(1, 8):
        now_s = 10.0 + step / 10
        heartbeat.heard(now_s)
        assert heartbeat.check(now_s).state is PeerState.LIVE
