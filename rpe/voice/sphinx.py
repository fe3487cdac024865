"""One PocketSphinx decoder, by its C interface: called that way, it leaves Python's lock to others."""

from __future__ import annotations

import ctypes
import json
from functools import cache
from importlib.util import find_spec
from typing import Any

from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.packages import require

__all__ = ["SphinxDecoder", "load_sphinx"]

_FUNCTIONS = {
    # name: what it returns, what it takes (pocketsphinx.h)
    "ps_config_parse_json": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "ps_config_free": (ctypes.c_int, [ctypes.c_void_p]),
    "ps_init": (ctypes.c_void_p, [ctypes.c_void_p]),
    "ps_free": (ctypes.c_int, [ctypes.c_void_p]),
    "ps_reinit_feat": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "ps_start_utt": (ctypes.c_int, [ctypes.c_void_p]),
    "ps_process_raw": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int],
    ),
    "ps_end_utt": (ctypes.c_int, [ctypes.c_void_p]),
    "ps_get_hyp": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int32)]),
}


@cache
def load_sphinx() -> tuple[Any, bytes]:
    """Return the library and the configuration of its US English model.

    The package holds the library inside of its extension module. Its own class keeps Python's lock for
    as long as it decodes, which would stop every other thread, so the functions are called
    through `ctypes`. Raises ConfigurationError where the package is missing or has no such functions.
    """
    package = require("pocketsphinx", "speech to text")
    spec = find_spec("pocketsphinx._pocketsphinx")
    try:
        library = ctypes.CDLL(spec.origin if spec is not None else None)
        for name, (returns, takes) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = returns, takes
    except (OSError, AttributeError) as error:
        raise ConfigurationError(
            f"this build of PocketSphinx cannot be used: {error}",
            hint="pip install 'pocketsphinx>=5.0' as a wheel",
        ) from error
    model = package.get_model_path("en-us")
    config = {
        "hmm": f"{model}/en-us",
        "lm": f"{model}/en-us.lm.bin",
        "dict": f"{model}/cmudict-en-us.dict",
        "cmn": "batch",
        "loglevel": "FATAL",
    }
    return library, json.dumps(config).encode()


class SphinxDecoder:
    """Decodes one segment after the other, each as if it were the first. For one thread at a time.

    Loading takes about 0.25 s and 100 MB. Raises ConfigurationError where the model cannot be loaded.
    """

    def __init__(self) -> None:
        self._decoder: int | None = None
        self._library, settings = load_sphinx()
        config = self._library.ps_config_parse_json(None, settings)
        if not config:
            raise ConfigurationError(
                "PocketSphinx does not know its settings", hint="install another version"
            )
        self._decoder = self._library.ps_init(config)
        self._library.ps_config_free(config)  # the decoder holds it
        if not self._decoder:
            raise ConfigurationError(
                "PocketSphinx cannot load its model of US English", hint="reinstall the package pocketsphinx"
            )

    def decode(self, samples: bytes) -> str:
        """Return the words in these samples: int16, 16 kHz, one channel.

        The mean of the segment's own cepstra is taken off (batch CMN, Atal 1974), and the front
        end, which otherwise carries its estimate of the noise from one segment to the next, is
        made anew. Raises DataValidationError where the decoder fails; it must not be used again then.
        """
        library, decoder = self._library, self._decoder
        self._check(library.ps_reinit_feat(decoder, None))
        self._check(library.ps_start_utt(decoder))
        self._check(library.ps_process_raw(decoder, samples, len(samples) // 2, 0, 1))
        self._check(library.ps_end_utt(decoder))
        words: bytes | None = library.ps_get_hyp(decoder, None)
        return (words or b"").decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of the model."""
        decoder, self._decoder = self._decoder, None
        if decoder:
            self._library.ps_free(decoder)

    def __del__(self) -> None:
        self.close()

    @staticmethod
    def _check(answer: int) -> None:
        if answer < 0:
            raise DataValidationError(f"PocketSphinx cannot decode this audio (its error {answer})")
