"""Colang 1.0 at work: canonical forms of what users want, flows over them, and the turn between.

`system.co` holds the flows that make a turn; a configuration may replace any of them. `turn` is the loop: the machine
decides, `runner` carries out the action that was decided, its events go back to the machine; where nobody reads them
and no flow has a say, `direct` goes through the turn without it. `actions` are the steps that ask a model (intent, next step,
value), `speech` what the bot says, `similar` the examples that prompts show, `texts` and `wording` what is taken from
a model's answer. `speculation` runs a turn ahead of its input rails, `stream` gives an answer out while it comes to
be, and `judging` asks the output rails about each window of it. `refusals` are what is said where an action could not
be run or a rail could not judge. `program` puts a configuration's flows and the system's together, `log` tells
afterwards which rail did what.
"""

from rails_engine.canonical.actions import CanonicalActions
from rails_engine.canonical.direct import begins_directly, go_directly, may_go_directly
from rails_engine.canonical.judging import OutputCheck
from rails_engine.canonical.log import activated_rails
from rails_engine.canonical.program import canonical_program, system_definitions
from rails_engine.canonical.runner import CanonicalRunner, Verdict
from rails_engine.canonical.scene import TRIGGERED, CanonicalScene, Notes, Shown
from rails_engine.canonical.similar import Examples
from rails_engine.canonical.speculation import copy_of, rewrites, run_ahead
from rails_engine.canonical.speech import Speech
from rails_engine.canonical.stream import Stream
from rails_engine.canonical.turn import CanonicalTurn

__all__ = [
    "TRIGGERED",
    "CanonicalActions",
    "CanonicalRunner",
    "CanonicalScene",
    "CanonicalTurn",
    "Examples",
    "Notes",
    "OutputCheck",
    "Shown",
    "Speech",
    "Stream",
    "Verdict",
    "activated_rails",
    "begins_directly",
    "canonical_program",
    "copy_of",
    "go_directly",
    "may_go_directly",
    "rewrites",
    "run_ahead",
    "system_definitions",
]
