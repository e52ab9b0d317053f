"""JSON of requests and answers, by pydantic's fast reader and writer; what they refuse, the standard library may take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json


def encoded(body: Mapping[str, Any]) -> bytes:
    """`body` as JSON in UTF-8; what is no JSON value is written as its text.

    Text with half a surrogate pair is no UTF-8, but can be written with escapes.
    """
    try:
        return to_json(body, fallback=str, inf_nan_mode="constants")
    except (PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(body, default=str).encode()


def decoded(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none.
    """
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)
