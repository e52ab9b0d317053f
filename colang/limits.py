"""Bounds on what one value may become, so that a program cannot eat the machine.

Every operation that makes something bigger than its operands asks here first. The figures are far above what a
conversation needs.
"""

from __future__ import annotations

from colang.errors import ColangValueError

MAX_TEXT = 1_000_000
"""Longest text, in characters."""
MAX_ITEMS = 100_000
"""Most elements of a list, set or dict."""
MAX_BITS = 4096
"""Widest whole number."""
MAX_STEPS = 50_000
"""Most instructions, events and calls of one step."""
MAX_DEPTH = 1000
"""Most flows below each other."""
MAX_GROWTH = 32_000_000
"""Most characters and elements that one step may create and compare."""
MAX_ERROR = 2000
"""Longest text of an error that a flow can read: an error that quotes another would else double with each."""


def check_text(length: int) -> None:
    """Let a text of this many characters be made.

    Raises:
        ColangValueError: it is too long.
    """
    if length > MAX_TEXT:
        raise ColangValueError(f"text of {length} characters; at most {MAX_TEXT} are allowed")


def check_items(count: int) -> None:
    """Let a collection of this many elements be made.

    Raises:
        ColangValueError: it is too large.
    """
    if count > MAX_ITEMS:
        raise ColangValueError(f"collection of {count} elements; at most {MAX_ITEMS} are allowed")


def check_bits(bits: float) -> None:
    """Let a whole number of this many bits be made.

    Raises:
        ColangValueError: it is too wide.
    """
    if bits > MAX_BITS:
        raise ColangValueError(f"whole number of {int(bits)} bits; at most {MAX_BITS} are allowed")
