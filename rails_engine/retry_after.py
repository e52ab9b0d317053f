"""How long a server asks its callers to wait (`Retry-After`, RFC 9110 section 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime


def seconds_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that an answer asks to wait; None where it does not say, or says what is neither number nor date.

    Header names are in lower case. `retry-after-ms`, which model servers send beside the standard's header, comes first.
    """
    millis, value = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if millis:
            return max(0.0, float(millis) / 1000)
        return max(0.0, float(value)) if value else None
    except ValueError:
        return _until(value or "", now)


def _until(date: str, now: datetime) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(date) - now).total_seconds())
    except (TypeError, ValueError):
        return None
