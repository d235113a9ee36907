"""How long the word screen takes: python -m benchmarks.words. 20,000 words against 10,000 characters; one JSON line."""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from integrations.safety.word_list import COLUMNS, load_words
from integrations.safety.words import WordListScreen

COLD_START = """
import time
began = time.perf_counter()
from integrations.safety.word_list import bundled_lists, load_words
from integrations.safety.words import WordListScreen
imported = time.perf_counter()
WordListScreen(load_words(bundled_lists()))
print((imported - began) * 1e3, (time.perf_counter() - imported) * 1e3)
"""


def measure(words: int = 20_000, characters: int = 10_000, rounds: int = 20) -> dict[str, float]:
    """Milliseconds to read a list of `words`, to build the screen, and to check a text (median of `rounds`)."""
    dice = random.Random(1)
    han = [chr(code) for code in range(0x4E00, 0x4E00 + 3500)]
    entries = sorted({"".join(dice.choices(han, k=dice.choice([2, 3, 3, 4, 4, 5, 6]))) for _ in range(words)})
    text = "".join(dice.choices([*han, "，", "。", " ", "a"], k=characters))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.csv")
        lines = [",".join(COLUMNS), *(f"{word},random,review,flag,benchmark,none" for word in entries)]
        path.write_text("\n".join(lines), encoding="utf-8")
        began = time.perf_counter()
        word_list = load_words([path])
        read = time.perf_counter()
        screen = WordListScreen(word_list)
        built = time.perf_counter()
    checks = []
    for _ in range(rounds):
        start = time.perf_counter()
        screen.check(text, "benchmark")
        checks.append(time.perf_counter() - start)
    return {"read_ms": (read - began) * 1e3, "build_ms": (built - read) * 1e3, "check_ms": median(checks) * 1e3}


def main() -> None:
    cold = subprocess.run([sys.executable, "-c", COLD_START], check=True, capture_output=True, text=True).stdout.split()
    report = {"cold_imports_ms": float(cold[0]), "cold_bundled_lists_ms": float(cold[1])} | measure()
    print(json.dumps({name: round(value, 1) for name, value in report.items()}))


if __name__ == "__main__":
    main()
