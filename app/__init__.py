"""Doors to the world: the command line, and the wiring that joins the rooms.

Everything here owns a socket, a terminal, a clock or the environment, and nothing here decides what a conversation
does. `errors` are what a user can get wrong, `settings` reads the environment, `bundled` finds the configurations
that come with the package, `wiring` is the composition root where a path becomes a running engine, and `cli` is the
command `nemoguardrails`.
"""
