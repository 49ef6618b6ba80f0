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


def inline_commands(text: str) -> list[str]:
    """The commands that stand in backticks, as in a sentence."""
    return [span for span in CODE.findall(FENCED.sub("", text)) if span.startswith("ferry ")]


def words_of(line: str) -> list[str]:
    """The command's arguments, as a shell would give them to it."""
    words = shlex.split(line, comments=True)[1:]
    for index, word in enumerate(words):
        if word in ("|", ">", ">>", "2>", "&&", "||", ";", "&"):
            return words[:index]
    return words


def parse(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Lets the command take its arguments and do nothing; only debug builds know how."""
    return subprocess.run(
        [ferry_binary(), *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"FERRY_PARSE_ONLY": "1"},
    )


def problem_with(line: str) -> str | None:
    """Why the command is wrong: it does not exist, or has not got an option that the line uses."""
    words = words_of(line)
    command: list[str] = []
    rest = words[1:] if words[:1] == ["help"] else words
    while rest and rest[0] in subcommands(tuple(command)):
        command.append(rest.pop(0))
    if rest and not rest[0].startswith("-") and subcommands(tuple(command)):
        return f"there is no command `ferry {' '.join([*command, rest[0]])}`"
    text = help_text(tuple(command))
    for word in rest:
        option = word.split("=")[0]
        if option.startswith("-") and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
            return f"`ferry {' '.join(command)}` has no option {option}"
    return None


class RunbookTests(unittest.TestCase):
    def test_every_page_that_an_error_names_exists(self) -> None:
        named = {
            (name, source.relative_to(ROOT))
            for source in sorted((ROOT / "Sources").rglob("*.swift"))
            for name in RUNBOOK_NAME.findall(source.read_text())
        }
        self.assertTrue(named, "no error names a runbook: has the way they are named changed?")
        missing = [
            f"{name}, named in {source}"
            for name, source in sorted(named)
            if not (RUNBOOKS / name).is_file()
        ]
        self.assertEqual(missing, [], "not in Runbooks/")

    def test_every_page_that_a_page_links_to_exists(self) -> None:
        missing = [
            f"{page.name} links to {link}"
            for page in pages()
            for link in LINK.findall(page.read_text())
            if "://" not in link and not (page.parent / link).exists()
        ]
        self.assertEqual(missing, [])


    WAKING = (
        "fence-does-not-hold", "drain-stalls", "validation-difference", "group-not-empty",
        "hook-failed", "engine-died", "target-lost-data", "rollback", "journal",
    )  # fmt: skip
    """What wakes a person."""

    def test_what_wakes_a_person_has_a_page_that_says_what_to_type(self) -> None:
        for name in self.WAKING:
            text = (RUNBOOKS / f"{name}.md").read_text()
            found = re.findall(r"^## (.*)$", text, re.MULTILINE)
            headings = [each for each in found if each.startswith(("What ", "How "))]
            self.assertEqual(
                headings,
                ["What you see", "What it means", "What to type", "How to know that it worked"],
                name,
            )
            self.assertTrue(ferry_lines(RUNBOOKS / f"{name}.md"), f"{name} names no command")

    def test_every_page_is_linked_from_another_page(self) -> None:
        linked = {
            (page.parent / link).resolve().name
            for page in pages()
            for link in LINK.findall(page.read_text())
            if "://" not in link and (page.parent / link).resolve() != page
        }
        missing = sorted({page.name for page in RUNBOOKS.glob("*.md")} - linked)
        self.assertEqual(missing, [], "no page links to these")


class CommandTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        ferry_binary()

    def expect_accepted(self, lines: list[tuple[Path, str]], *, at_least: int) -> None:
        why = "hardly any command found: has the way they are written changed?"
        self.assertGreaterEqual(len(lines), at_least, why)
        problems = [
            f"{file.name}: `{line}`: {problem}"
            for file, line in lines
            if (problem := problem_with(line))
        ]
        self.assertEqual(problems, [])

    def test_every_command_of_a_shell_block_is_accepted(self) -> None:
        lines = [(page, line) for page in pages() for line in ferry_lines(page)]
        self.expect_accepted(lines, at_least=20)

    def test_every_command_of_a_shell_block_parses(self) -> None:
        if parse(["no-such-command"]).returncode == 0 or parse(["status", "plan.yaml"]).returncode:
            self.skipTest("only a debug build parses without doing anything")
        problems = [
            f"{page.name}: `{line}`: {answer.stderr}"
            for page in pages()
            for line in ferry_lines(page)
            if (answer := parse(words_of(line))).returncode != 0
        ]
        self.assertEqual(problems, [])
        self.assertNotEqual(parse(["rollback", "plan.yaml", "--stage"]).returncode, 0)

    def test_every_command_of_a_sentence_is_accepted(self) -> None:
        lines = [
            (page, line.replace("COMMAND", ""))
            for page in pages()
            for line in inline_commands(page.read_text())
        ]
        self.expect_accepted(lines, at_least=20)

    def test_every_command_that_a_message_names_is_accepted(self) -> None:
        lines = []
        for source in sorted((ROOT / "Sources").rglob("*.swift")):
            code = [line for line in source.read_text().splitlines() if "//" not in line]
            for line in inline_commands("\n".join(code)):
                # What Swift fills in is no part of the command's words.
                lines.append((source, line.split("\\(")[0]))
        self.expect_accepted(lines, at_least=10)

    def test_a_wrong_command_or_option_is_noticed(self) -> None:
        for line in ("ferry halt plan.yaml", "ferry run plan.yaml --digests x", "ferry journal list"):
            self.assertIsNotNone(problem_with(line), line)

    def test_the_table_of_commands_is_complete(self) -> None:
        text = README.read_text()
        missing = [name for name in sorted(subcommands(())) if f"\n| `ferry {name} " not in text]
        self.assertEqual(missing, [], "not in the README's table of commands")


class ReadmePathTests(unittest.TestCase):
    def test_every_path_exists(self) -> None:
        text = README.read_text()
        words = [word for span in CODE.findall(FENCED.sub("", text)) for word in span.split()]
        for block in FENCED_SH.findall(text):
            words += block.split()
        paths = {word.rstrip(".,;:") for word in words if word.startswith(ROOTS)}
        self.assertTrue(paths, "README.md names no path")
        missing = [
            path
            for path in sorted(paths)
            if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())
        ]
        self.assertEqual(missing, [], "named in README.md, but not there")


if __name__ == "__main__":
    unittest.main()
