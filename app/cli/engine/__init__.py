"""`nemoguardrails engine`: the LLM engine's own commands.

`commands` declares them; each loads what it needs when it runs. `serve` is an OpenAI-compatible server: `server` has the
routes, `answers` turns the engine's deltas into the JSON that clients read, `streaming` into server-sent events,
`faults` maps errors to statuses. `bench`, `plan` and `build` print what they find.
"""

from app.cli.engine.commands import engine

__all__ = ["engine"]
