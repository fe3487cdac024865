"""The same fakes from unittest, without an event loop in the test."""

from __future__ import annotations

import unittest

import rpe
from rpe.testing import SyncFake


class TestRecognition(unittest.TestCase):
    """Plain methods, a plain client."""

    def setUp(self) -> None:
        self.fake = self.enterContext(SyncFake(nodes={"Transcribe": rpe.Text("good morning")}))

    def test_a_recording_is_heard(self) -> None:
        self.fake.expect(node_type="Transcribe", text="x")
        with rpe.connect_sync([self.fake.endpoint]) as client:
            result = client.execute(rpe.Manifest.single("captions", node_type="Transcribe"), rpe.Text("x"))
        self.assertEqual(result.output, rpe.Text("good morning"))
