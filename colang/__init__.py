"""Colang: text to program to steps, with no I/O.

A program is loaded once (`load`) from sources; then each event is given to `step`, which advances the flows that
were waiting for it and returns the commands that the caller has to carry out. The package depends on lark alone and
knows nothing of models, clocks or sockets, so a conversation can be replayed from its transcript.
"""
