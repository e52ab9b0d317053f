"""What the runtime itself can do for flows: change the program, and ask a model for what to say or do next.

Each action takes the scene of its turn and the arguments that the flow wrote, and returns an outcome; `table` has them by
name. `flow_actions` needs no model, nor does `attention`. `generation` builds the variables of a prompt task from the
conversation, with `examples` of the program, asks, and gives the text to `completions`, which knows what a model's answer
to each task must look like and is strict about it: text that does not have the form is an error, never a guess.
`passthrough` asks without a prompt of ours. An answer goes out while it is written (`speaking`), as far as `readers` find
what of it will be said.

Rails are asked here where no flow of theirs runs: about calls and texts that are left to the caller (`handing_over`),
about what the knowledge base says (`sources`), and all at once (`parallel_rails`); `refusals` says what follows.
"""

from rails_engine.dialog.completions import first_line
from rails_engine.dialog.examples import likeness
from rails_engine.dialog.handing_over import UTTERANCE, handed_over
from rails_engine.dialog.parallel_rails import SKIPPED
from rails_engine.dialog.passthrough import CALLING, HANDING_OVER
from rails_engine.dialog.refusals import spoken
from rails_engine.dialog.table import SYSTEM_ACTIONS

__all__ = [
    "CALLING",
    "HANDING_OVER",
    "SKIPPED",
    "SYSTEM_ACTIONS",
    "UTTERANCE",
    "first_line",
    "handed_over",
    "likeness",
    "spoken",
]
