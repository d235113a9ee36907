"""Runs one template that a site wrote, in a process of its own that can be stopped. A script for prompts/render.py.

Reads {"template", "variables", "most_characters", "cpu_s", "memory_bytes"} as JSON from standard input and writes
{"text"} or {"error"}. Knows nothing of ours: with `python -I` none of our folders can be imported here.
"""

import json
import sys
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment


def limit_this_process(cpu_s: int, memory_bytes: int) -> None:
    """Let the operating system end a loop or a huge string. Does nothing on systems without such limits."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (ImportError, ValueError, OSError):
        pass  # the caller's own clock still ends this process


def answer(task: dict[str, Any]) -> dict[str, str]:
    """The rendered text, or what was wrong in one line."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    pieces: list[str] = []
    room = task["most_characters"]
    try:
        for piece in environment.from_string(task["template"]).generate(task["variables"]):
            room -= len(piece)
            if room < 0:
                return {"error": f"it writes more than {task['most_characters']} characters"}
            pieces.append(piece)
    except TemplateError as exc:
        line = f"line {exc.lineno}: " if isinstance(exc, TemplateSyntaxError) else ""
        return {"error": f"{line}{exc.message or type(exc).__name__}"}
    except MemoryError:
        return {"error": "it needs too much memory"}
    except Exception as exc:  # a site's template may raise anything; this is a process entry point
        return {"error": f"{type(exc).__name__}: {exc}"}
    return {"text": "".join(pieces)}


def main() -> None:
    """Answer the one task on standard input."""
    task = json.load(sys.stdin)
    limit_this_process(task["cpu_s"], task["memory_bytes"])
    json.dump(answer(task), sys.stdout)


if __name__ == "__main__":
    main()
