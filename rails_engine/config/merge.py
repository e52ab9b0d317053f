"""Several configurations into one.

Mappings are merged key by key. Lists are joined without repeats, so that a rail that any part asks for runs. Of two
single values the later one wins. The files of a folder come in the order of their names; in `a + b`, b comes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.config.document import MarkedDict, MarkedList
from rails_engine.config.problems import Place


def merge(earlier: Mapping[str, Any], later: Mapping[str, Any], *, later_first: bool = False) -> MarkedDict:
    """Both mappings as one; `later_first` puts the later one's list items before the earlier one's."""
    result = MarkedDict()
    for source in (earlier, later):
        for key, value in source.items():
            old = result.get(key)
            result[key] = value if key not in result else _merged(old, value, later_first=later_first)
            place = source.places.get(key) if isinstance(source, MarkedDict) else None
            if place:
                result.places[key] = place
    return result


def _merged(earlier: Any, later: Any, *, later_first: bool) -> Any:
    if isinstance(earlier, Mapping) and isinstance(later, Mapping):
        return merge(earlier, later, later_first=later_first)
    if isinstance(earlier, list) and isinstance(later, list):
        return _joined(later, earlier) if later_first else _joined(earlier, later)
    return earlier if later is None else later


def _joined(first: Sequence[Any], second: Sequence[Any]) -> MarkedList:
    result = MarkedList()
    for items in (first, second):
        for index, item in enumerate(items):
            if item not in result:
                result.append(item)
                result.places.append(_place(items, index))
    return result


def _place(items: Sequence[Any], index: int) -> Place | None:
    places = items.places if isinstance(items, MarkedList) else []
    return places[index] if index < len(places) else None
