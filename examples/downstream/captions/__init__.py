"""Captions for recordings: remote speech to text, and a glossary service that knows how words are spelled."""

from __future__ import annotations

from captions.captioner import Captioner
from captions.glossary import Glossary

__all__ = ["Captioner", "Glossary"]
