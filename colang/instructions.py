"""The instructions that a flow's body is lowered to.

A flow is a tuple of instructions and its heads are positions in it. Instructions come in three kinds. Most are done
at once while a head slides over them. `Match`, `Started` and the joins stop a head until something happens. `Send`
stops it until the conflicts of its interaction loop are resolved (unless the event is an internal one).

    data        Assign Capture Result Global Priority Say
    control     Jump Branch Return Fail NewInstance
    flows       Call Stop Deactivate
    actions     NewAction
    events      Send Match Started
    groups      Fork Merge Collect Handler
    scopes      OpenScope CloseScope

Groups are the only part that needs several heads. `Fork` puts its head to sleep and makes one child per branch; a
child that meets `Merge` waits for the others of this instant, the best one survives, the parent goes on behind that
`Merge`. `Collect` waits until that many children have come and lets the parent go on. `Handler` names where the head
of a branch goes when it fails inside a group; what else the branch had started dies with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from colang.expressions import Compiled
from colang.source import Span

NamedArguments: TypeAlias = tuple[tuple[str, Compiled], ...]


@dataclass(frozen=True, slots=True)
class Sole:
    """The only argument of a call, by position: a variable, perhaps within a text that is known beside it."""

    name: str
    before: str = ""
    behind: str = ""


@dataclass(frozen=True, slots=True)
class CallArguments:
    """Evaluated together, positional ones first."""

    positional: tuple[Compiled, ...] = ()
    named: NamedArguments = ()
    plain: tuple[tuple[str, str | None, Compiled], ...] = ()
    """The named arguments that are a literal or a variable (then with its name): the index can file heads by them."""
    sole: Sole | None = None
    """None for any other arguments than one that hands a variable on."""


# --- what is sent and what is waited for -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventForm:
    """`Name(a=1)`, to send or to match."""

    name: str
    arguments: CallArguments
    event_name: str | None = None
    """The literal argument `event`, if there is one: what an UnhandledEvent is about."""


@dataclass(frozen=True, slots=True)
class ActionForm:
    """`XAction(start arguments).Finished(arguments)`, to match."""

    action: str
    start: CallArguments
    member: str
    arguments: CallArguments


@dataclass(frozen=True, slots=True)
class FlowForm:
    """`flow name(arguments).Finished(member arguments)`."""

    flow_id: str
    start: CallArguments
    member: str
    arguments: CallArguments


@dataclass(frozen=True, slots=True)
class MemberForm:
    """`$reference.Finished(arguments)`; `path` are attributes read on the way, as `flow` in `$e.flow.Finished()`."""

    variable: str
    path: tuple[str, ...]
    member: str
    arguments: CallArguments


Form: TypeAlias = EventForm | ActionForm | FlowForm | MemberForm


# --- instructions ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assign:
    """Set a variable to the value of an expression."""

    name: str
    value: Compiled


@dataclass(frozen=True, slots=True)
class Capture:
    """Copy a hidden variable to one of the author's."""

    hidden: str
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """Assign the `return_value` of the event in a hidden variable; without one the flow fails."""

    hidden: str
    name: str


@dataclass(frozen=True, slots=True)
class Global:
    """From here on the name stands for the global variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Priority:
    """Set the priority of this instance.

    A flow fails whose value is no float from 0 to 1.
    """

    value: Compiled


@dataclass(frozen=True, slots=True)
class Say:
    """`log` and `print`."""

    value: Compiled
    printed: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at `target`."""

    target: int


@dataclass(frozen=True, slots=True)
class Branch:
    """Go on if the test holds, else to `otherwise`."""

    test: Compiled
    otherwise: int


@dataclass(frozen=True, slots=True)
class Return:
    """End the flow as finished."""

    value: Compiled | None


@dataclass(frozen=True, slots=True)
class Fail:
    """To the innermost handler, or the end of the flow as failed."""


@dataclass(frozen=True, slots=True)
class NewInstance:
    """`start_new_flow_instance:`."""


@dataclass(frozen=True, slots=True)
class Call:
    """Queue the start of a flow; `hidden` receives the new instance's uid.

    `shared` lets the callee use the caller's variables; `dynamic` computes the name.
    """

    flow_id: str
    arguments: CallArguments
    hidden: str
    activate: bool = False
    shared: bool = False
    dynamic: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Wait for the confirmation of a `Call`; `hidden` then holds the flow reference, and so does `name`."""

    hidden: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop this flow's own children of a name whose arguments include the given ones."""

    flow_id: str
    arguments: CallArguments


@dataclass(frozen=True, slots=True)
class Deactivate:
    """Take back one activation of a flow with these arguments."""

    flow_id: str
    arguments: CallArguments


@dataclass(frozen=True, slots=True)
class NewAction:
    """Make an action, not yet started; `hidden` and `name` hold its reference."""

    action: str
    arguments: CallArguments
    hidden: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event; `name` receives it where it is one of an action."""

    form: Form
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Wait for an event; `name` receives it."""

    form: Form
    name: str | None = None
    internal: bool = False
    """True where the wait is no statement of the author's and so does not make a flow `started`."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Put this head to sleep and make one child at each target."""

    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """The innermost fork of this head ends here for whoever comes first with the best score."""


@dataclass(frozen=True, slots=True)
class Collect:
    """The innermost fork of this head ends here when `count` heads have come."""

    count: int


@dataclass(frozen=True, slots=True)
class Handler:
    """From here to the end of the branch, failing means going to `target`."""

    target: int


@dataclass(frozen=True, slots=True)
class OpenScope:
    """What is started from here on belongs to the scope as well."""

    scope: str


@dataclass(frozen=True, slots=True)
class CloseScope:
    """Stop what was started in the scope and still runs."""

    scope: str


Instruction: TypeAlias = (
    Assign
    | Capture
    | Result
    | Global
    | Priority
    | Say
    | Jump
    | Branch
    | Return
    | Fail
    | NewInstance
    | Call
    | Started
    | Stop
    | Deactivate
    | NewAction
    | Send
    | Match
    | Fork
    | Merge
    | Collect
    | Handler
    | OpenScope
    | CloseScope
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter or out-member of a flow, with its default."""

    name: str
    default: Compiled | None


@dataclass(frozen=True, slots=True)
class FlowCode:
    """A flow ready to run; `span` is the place of its header, `spans` has that of each instruction."""

    flow_id: str
    span: Span
    parameters: tuple[Parameter, ...]
    members: tuple[Parameter, ...]
    code: tuple[Instruction, ...]
    spans: tuple[Span, ...]
    loop_id: str | None
    loop_priority: int
    active: bool
    tags: tuple[tuple[str, Compiled | None], ...]
    """History tags (user_intent, bot_action, …) with the text to log, or None for the flow's own name."""
    meta: tuple[tuple[str, object], ...]
    """The arguments of `@meta`."""
    forks: bool
    """True if some instruction makes several heads: then variables may change while one of them waits."""
