"""Running timers, without a clock of their own: the owner says what time it is."""

from __future__ import annotations


class Timers:
    """Which timer rings when; all of them can be halted and go on later with what was left."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._halted_at: float | None = None

    def set(self, uid: str, seconds: float, now: float) -> None:
        """Ring after `seconds`; a timer set while all are halted starts when they go on."""
        self._due[uid] = seconds + (now if self._halted_at is None else self._halted_at)

    def cancel(self, uid: str) -> bool:
        """Stop a timer; False where none of that name runs."""
        return self._due.pop(uid, None) is not None

    def halt(self, now: float) -> None:
        """Let no timer ring until `go_on`; halting twice is halting once."""
        self._halted_at = now if self._halted_at is None else self._halted_at

    def go_on(self, now: float) -> None:
        """Let all timers go on with what they had left."""
        if self._halted_at is not None:
            lost = now - self._halted_at
            self._due = {uid: due + lost for uid, due in self._due.items()}
            self._halted_at = None

    def next_due(self) -> float | None:
        """When the next timer rings; None while none will."""
        return min(self._due.values(), default=None) if self._halted_at is None else None

    def pop_due(self, now: float) -> list[str]:
        """Remove and return the timers that have run out, the earliest first."""
        if self._halted_at is not None:
            return []
        ringing = sorted((due, uid) for uid, due in self._due.items() if due <= now)
        for _, uid in ringing:
            del self._due[uid]
        return [uid for _, uid in ringing]
