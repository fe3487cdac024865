"""Latencies as HDR histograms: 1 microsecond to 1 hour, to three significant digits.

A histogram travels and is kept in the format V2 of HdrHistogram, compressed and in base64, which its
readers in other languages take as well. Histograms add up without loss: the percentiles
of a sum are those of all that was recorded, which the mean of percentiles is not.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

__all__ = ["DIGITS", "HIGHEST_US", "LOWEST_US", "Histogram", "encode_counts"]

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3
"""Three digits: a value is off by 0.1 % at most. A second of calls takes about 1 kB; two digits, half."""

_WRONG = (HdrCookieException, HdrHistogramSettingsException, HdrLengthException, zlib.error, ValueError)


class Histogram:
    """A histogram of latencies in microseconds. What is out of its range counts as its lowest or highest."""

    def __init__(self) -> None:
        self._values = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self._values.get_total_count())

    @property
    def max_us(self) -> int:
        """The highest value; 0 where there is none."""
        return int(self._values.get_max_value()) if self.count else 0

    @property
    def mean_us(self) -> float:
        """The mean; 0 where there are no values."""
        return float(self._values.get_mean_value())

    def record(self, value_us: int, times: int = 1) -> None:
        """Count a value, as often as `times` says."""
        self._values.record_value(min(max(value_us, LOWEST_US), HIGHEST_US), times)

    def add(self, encoded: str) -> None:
        """Add what another was encoded as. Raises ValueError, and adds nothing, where it is no histogram."""
        try:
            other = HdrHistogram.decode(encoded)
            like = other.significant_figures == DIGITS and other.highest_trackable_value == HIGHEST_US
        except _WRONG as error:
            raise ValueError(f"this is no histogram: {error}") from error
        if not like:
            raise ValueError("this histogram has another range or precision")
        self._values.add(other)

    def quantile_us(self, q: float) -> int:
        """Return the value that the part `q` (0 to 1) of all values does not exceed; 0 where there are none.

        Raises ValueError where `q` is not between 0 and 1.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile is a part between 0 and 1, not {q}")
        if not self.count:
            return 0
        # The library rounds to the nearest rank; the rank is exact here, so that it has nothing to round.
        rank = max(1, math.ceil(q * self.count - 1e-9))
        return int(self._values.get_value_at_percentile(100 * rank / self.count))

    def encode(self) -> str:
        """Return the histogram as text."""
        return str(self._values.encode().decode("ascii"))


def encode_counts(counts: Mapping[int, int]) -> str:
    """Return counts by value, in microseconds, as the text of a histogram."""
    histogram = Histogram()
    for value_us, times in counts.items():
        histogram.record(value_us, times)
    return histogram.encode()
