"""Colang 1.0: its instructions, its program and its machine.

The two dialects share expressions, errors and the seam (an event in, commands out) but not the stepper. A flow of
Colang 2.x acts when it is matched, and conflicts are settled among those that act; a flow of Colang 1.0 only offers
what it would do next, one offer is taken, and what was not taken is interrupted or forgotten. So `elements` are the
instructions of 1.0, `program` indexes flows by the event that they begin with, and `machine` makes one decision an
event.
"""
