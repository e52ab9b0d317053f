"""The getting-started page does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.configs.desk import Desk

PAGE = (Path(__file__).parents[2] / "docs" / "getting-started.md").read_text(encoding="utf-8")


async def test_the_coffee_bar_takes_orders(tmp_path: Path) -> None:
    (program,) = re.findall(r"```colang\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "config.yml").write_text('colang_version: "2.x"\n')
    (tmp_path / "main.co").write_text(program)
    bar = Desk(str(tmp_path))
    assert await bar.opens() == []
    assert await bar.hears("an espresso please") == ["Sugar?"]
    assert await bar.hears("yes") == ["One coffee with sugar."]
    assert await bar.hears("a latte") == ["Sugar?"]
    assert await bar.hears("no") == ["One coffee, black as night."]
    await bar.leaves()
