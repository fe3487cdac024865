"""Signalling: how two WebRTC peers find each other and agree, before any datagram flows."""
