"""A Colang 2.x turn: our machine against the installed peer, in the same run.

    python benchmarks/colang2_turn.py [--peer PYTHON] [--turns 200]

A turn is one user utterance (its Started and Finished events) and the bot's answer (its Started and Finished events,
given back in a call each). `core` is `user said something` / `bot say`; `rails` adds the guardrails module with an
input and an output rail that search a pattern. PYTHON is an interpreter with the peer installed; without one only our
figures are printed. Both sides run the same code: the same programs, and the same events given to
`LLMRails.process_events_async`. Times are processor time, so that a busy machine does not tell; neither side waits for
anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

CORE = """import core
flow main
  activate reply
  match Never()
flow reply
  user said something as $said
  bot say "you said {$said.transcript}"
"""
RAILS = f"""import guardrails
{CORE}flow input rails $input_text
  if search("forbidden|secret", $input_text)
    bot say "no"
    abort
flow output rails $output_text
  if search("forbidden|secret", $output_text)
    bot say "no"
    abort
"""
PROGRAMS = {"core": CORE, "rails": RAILS}
WARM_UP = 10


def with_bystanders(program: str, count: int) -> str:
    """`program` with further activated flows that wait for other utterances."""
    waits = "".join(
        f'flow bystander {word}\n  user said "{word}"\n  bot say "{word}"\n' for word in words(count)
    )
    lines = "".join(f"  activate bystander {word}\n" for word in words(count))
    return program.replace("  activate reply\n", f"  activate reply\n{lines}", 1) + waits


def words(count: int) -> list[str]:
    """Names made of letters only."""
    return ["".join(chr(97 + int(digit)) for digit in f"{number:05d}") for number in range(count)]


def utterance(number: int) -> list[tuple[str, dict[str, object]]]:
    about = {"uid": f"x{number}", "event_created_at": "2026-01-01T00:00:00+00:00", "source_uid": "bench"}
    about["action_uid"] = f"user{number}"
    text = {"final_transcript": f"message {number}", "is_success": True}
    finished = {"action_finished_at": "2026-01-01T00:00:01+00:00"}
    return [
        ("UtteranceUserActionStarted", dict(about)),
        ("UtteranceUserActionFinished", {**about, **text, **finished}),
    ]


def answers(name: str, arguments: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    """What the world says to a started utterance."""
    if name != "StartUtteranceBotAction":
        return []
    about = {"uid": "y", "event_created_at": "2026-01-01T00:00:00+00:00", "source_uid": "bench"}
    about["action_uid"] = arguments["action_uid"]
    ended = {"final_script": arguments["script"], "is_success": True}
    ended["action_finished_at"] = "2026-01-01T00:00:01+00:00"
    return [("UtteranceBotActionStarted", dict(about)), ("UtteranceBotActionFinished", {**about, **ended})]


# --- one conversation, here or in the peer's interpreter -----------------------------------------------------------


def timed_turns(program_text: str, turns: int) -> list[float]:
    """Milliseconds of each turn with the `nemoguardrails` of this interpreter, after a warm-up."""
    from nemoguardrails import LLMRails, RailsConfig

    config = RailsConfig.from_content(program_text, yaml_content='colang_version: "2.x"\nmodels: []\n')
    return asyncio.run(_turns(LLMRails(config), turns))


async def _turns(rails: object, turns: int) -> list[float]:
    _, state = await rails.process_events_async([], None)
    times = []
    for number in range(turns + WARM_UP):
        began = time.process_time()
        waiting = [{"type": name, **arguments} for name, arguments in utterance(number)]
        while waiting:
            sent, state = await rails.process_events_async([waiting.pop(0)], state)
            for event in sent:
                waiting += [{"type": name, **args} for name, args in answers(event["type"], event)]
        times.append((time.process_time() - began) * 1000)
    return times[WARM_UP:]


def ask_peer(python: str, name: str, turns: int) -> list[float]:
    """The peer's times for a program, measured by this file in its interpreter."""
    command = [python, __file__, "--as-peer", name, "--turns", str(turns)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    times: list[float] = json.loads(result.stdout.splitlines()[-1])
    return times


# --- the table ---------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with the peer installed")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--as-peer", choices=PROGRAMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_peer:
        print(json.dumps(timed_turns(PROGRAMS[options.as_peer], options.turns)))
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {options.turns} turns, milliseconds of processor time, medians"
    )
    for name, text in PROGRAMS.items():
        times = timed_turns(text, options.turns)
        line = f"{name:6} ours {statistics.median(times):6.2f}"
        if options.peer:
            theirs = ask_peer(options.peer, name, options.turns)
            ratio = statistics.median(theirs) / statistics.median(times)
            line += f"   peer {statistics.median(theirs):6.2f}   ratio {ratio:5.1f}"
        print(line)
    print_flatness(options.turns)


def print_flatness(turns: int) -> None:
    times = timed_turns(CORE, turns)
    tenth = max(1, turns // 10)
    first, last = statistics.median(times[:tenth]), statistics.median(times[-tenth:])
    print(f"age    first {tenth} turns {first:.2f}, last {tenth} turns {last:.2f}")
    for count in (10, 100, 1000):
        median = statistics.median(timed_turns(with_bystanders(CORE, count), min(turns, 60)))
        print(f"loaded {count:5} further flows, all waiting: {median:.2f}")


if __name__ == "__main__":
    main()
