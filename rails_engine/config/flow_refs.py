"""How a configuration names a flow: `name`, `name $model=x $variant="a b"` or `name(model=x, variant="a b")`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_PARAMETER = re.compile(r"""\$?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s,$"'][^\s,]*)""")
_CALL = re.compile(r"^(?P<name>[^($]+)\((?P<arguments>.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FlowRef:
    """A flow by name with the values of its parameters, as written and without quotes."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""

    def task(self, base: str) -> str:
        """The name of the prompt for this reference: `base`, then ` $name=value` for each parameter."""
        return base + "".join(f" ${name}={value}" for name, value in self.parameters.items())


@lru_cache(maxsize=1024)
def parse_flow_ref(text: str) -> FlowRef:
    """Read one flow reference.

    Raises:
        ValueError: the parameters cannot be read.
    """
    called = _CALL.match(text.strip())
    if called:
        name, arguments = called["name"], called["arguments"]
    else:
        head, dollar, tail = text.partition("$")
        name, arguments = head, dollar + tail
    return FlowRef(" ".join(name.split()), _parameters(arguments, text), text)


def _parameters(arguments: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    for match in _PARAMETER.finditer(arguments):
        _only_separators(arguments[position : match.start()], text)
        found[match["name"]] = match["value"].strip("\"'")
        position = match.end()
    _only_separators(arguments[position:], text)
    return found


def _only_separators(between: str, text: str) -> None:
    if between.strip(" \t\n,"):
        raise ValueError(
            f"cannot read {between.strip()!r} in the flow reference {text!r}; write parameters as "
            'name $parameter=value or name(parameter="value")'
        )
