"""What the pages say is there: runbooks that errors name, commands and options, paths.

Needs the built command (FERRY_BIN, or `.build/debug/ferry`) and no broker.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import unittest
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
RUNBOOKS = ROOT / "Runbooks"

RUNBOOK_NAME = re.compile(r'"([a-z0-9-]+\.md)"')
FENCED_SH = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
ROOTS = ("Sources/", "Tests/", "Plans/", "Runbooks/", ".ci/", "Package.swift")
"""How a word in backticks begins that is a path of this repository."""


def pages() -> list[Path]:
    return [README, *sorted(RUNBOOKS.glob("*.md"))]


def ferry_binary() -> str:
    """The command under test. Without it nothing is known of the pages, so this fails."""
    path = os.environ.get("FERRY_BIN") or str(ROOT / ".build" / "debug" / "ferry")
    if not os.access(path, os.X_OK):
        raise AssertionError(
            f"{path} is no executable: run `swift build --product ferry`, or set FERRY_BIN"
        )
    return path


@cache
def help_text(words: tuple[str, ...]) -> str:
    """What `ferry WORDS --help` prints; fails where the parser does not know the command."""
    answer = subprocess.run(
        [ferry_binary(), *words, "--help"], capture_output=True, text=True, timeout=60
    )
    if answer.returncode != 0:
        raise AssertionError(
            f"`ferry {' '.join(words)} --help` ended with {answer.returncode}: {answer.stderr}"
        )
    return answer.stdout


@cache
def subcommands(words: tuple[str, ...]) -> frozenset[str]:
    """The names that the help of `ferry WORDS` lists as its subcommands."""
    _, found, listed = help_text(words).partition("SUBCOMMANDS:")
    return frozenset(re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)) if found else frozenset()


def ferry_lines(page: Path) -> list[str]:
    """The `ferry ...` lines of a page's shell blocks, continued lines joined, prompts taken off."""
    lines = []
    for block in FENCED_SH.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line == "ferry" or line.startswith("ferry "):
                lines.append(line)
    return lines


def check_line(line: str) -> None:
    """Fails where the command does not exist or has not got an option that the line uses."""
    words = shlex.split(line, comments=True)[1:]
    for index, word in enumerate(words):
        if word in ("|", ">", ">>", "2>", "&&", "||", ";", "&"):
            words = words[:index]
            break
    command: list[str] = []
    rest = words[1:] if words[:1] == ["help"] else words
    while rest and rest[0] in subcommands(tuple(command)):
        command.append(rest.pop(0))
    if rest and not rest[0].startswith("-") and subcommands(tuple(command)):
        raise AssertionError(f"`{line}`: there is no command {' '.join([*command, rest[0]])}")
    text = help_text(tuple(command))
    for word in rest:
        if not word.startswith("-"):
            continue
        option = word.split("=")[0]
        if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
            raise AssertionError(f"`{line}`: `ferry {' '.join(command)}` has no option {option}")


class RunbookTests(unittest.TestCase):
    def test_every_page_that_an_error_names_exists(self) -> None:
        named = {
            (name, source.relative_to(ROOT))
            for source in sorted((ROOT / "Sources").rglob("*.swift"))
            for name in RUNBOOK_NAME.findall(source.read_text())
        }
        self.assertTrue(named, "no error names a runbook: has the way they are named changed?")
        missing = sorted(f"{name}, named in {source}" for name, source in named
                         if not (RUNBOOKS / name).is_file())  # fmt: skip
        self.assertEqual(missing, [], "not in Runbooks/")

    def test_every_page_that_a_page_links_to_exists(self) -> None:
        for page in pages():
            for link in LINK.findall(page.read_text()):
                if "://" in link:
                    continue
                with self.subTest(page=page.name, link=link):
                    self.assertTrue((page.parent / link).exists(), f"{page.name} links to {link}")


class CommandTests(unittest.TestCase):
    def test_every_command_of_a_shell_block_is_accepted(self) -> None:
        seen = 0
        for page in pages():
            for line in ferry_lines(page):
                seen += 1
                with self.subTest(page=page.name, line=line):
                    check_line(line)
        self.assertGreater(seen, 20, "hardly any command found: are blocks still marked `sh`?")

    def test_a_wrong_command_or_option_is_noticed(self) -> None:
        for line in ("ferry pause plan.yaml", "ferry run plan.yaml --digests x", "ferry journal list"):
            with self.subTest(line=line), self.assertRaises(AssertionError):
                check_line(line)

    def test_the_table_of_commands_is_complete(self) -> None:
        text = README.read_text()
        for name in sorted(subcommands(())):
            with self.subTest(command=name):
                self.assertRegex(text, rf"(?m)^\| `ferry {name}\b")


class ReadmePathTests(unittest.TestCase):
    def test_every_path_exists(self) -> None:
        text = README.read_text()
        prose = FENCED.sub("", text)
        words = [word for span in CODE.findall(prose) for word in span.split()]
        for block in FENCED_SH.findall(text):
            words += block.split()
        paths = {word.rstrip(".,;:") for word in words if word.startswith(ROOTS)}
        self.assertTrue(paths, "README.md names no path")
        for path in sorted(paths):
            with self.subTest(path=path):
                found = list(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()
                self.assertTrue(found, f"README.md names {path}, which is not there")


if __name__ == "__main__":
    unittest.main()
