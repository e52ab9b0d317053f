"""One Colang file by itself, as scripts that look into configurations read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colang import Source
from colang.v2 import parse_all
from rails_engine.config.outline import ONE, TWO, outline_of, spoken


def parse_colang_file(
    filename: str, content: str | None = None, include_source_mapping: bool = True, version: str = ONE
) -> dict[str, Any]:
    """What a Colang file defines; the file `filename` is read where no `content` is given.

    Of 1.0: `user_messages` and `bot_messages`, texts by name, and `flows` with `id` and `source_code`. Of 2.x:
    `flows`, the trees of the flows (`name`, `parameters`, `decorators`, `body`, `text`), and `import_paths`. The text
    of a flow always comes with it, whatever `include_source_mapping` says.

    Raises:
        ColangSyntaxError: the text is no Colang of this version.
        ValueError: there is no such version, or the text is Colang of another one.
        OSError: the file cannot be read.
    """
    del include_source_mapping
    if version not in {ONE, TWO}:
        raise ValueError(f"Unsupported colang version {version}: there are {ONE} and {TWO}")
    source = Source(filename, Path(filename).read_text(encoding="utf-8") if content is None else content)
    if spoken(source) not in {version, None}:
        raise ValueError(f"{filename} is Colang {spoken(source)}, not {version}")
    if version == ONE:
        found = outline_of([source])
        return {
            "user_messages": found.user_messages,
            "bot_messages": found.bot_messages,
            "flows": found.flows,
        }
    tree, errors = parse_all(source)
    if errors:
        raise errors[0]
    return {"flows": list(tree.flows), "import_paths": [each.path for each in tree.imports]}
