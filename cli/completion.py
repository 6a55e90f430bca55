"""Completion scripts for bash, zsh and fish, made from the parser: they cannot fall behind it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from cli.exits import Exit
from cli.parser import KINDS, build, commands_of
from cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_OPTIONS = frozenset({"-f", "--file", "--config", "--token-file", "--ca-file"})


class Word(NamedTuple):
    """Something that may be typed after a command."""

    text: str
    meaning: str


def completion(args: argparse.Namespace) -> Exit:
    """Print the script of one shell."""
    say({"bash": bash, "zsh": zsh, "fish": fish}[args.shell]())
    return Exit.OK


def words_of(command: argparse.ArgumentParser) -> list[Word]:
    """Return the options of a command, and the words its arguments choose from."""
    words = []
    for action in command._actions:  # noqa: SLF001 - argparse offers no other way to see them
        words += [Word(option, action.help or "") for option in action.option_strings if option.startswith("--")]
        if not action.option_strings and action.choices:
            words += [Word(str(choice), action.help or "") for choice in action.choices]
        elif action.dest == "kind":
            words += [Word(kind, "kind of document") for kind in KINDS]
    return words


def _commands() -> Iterator[tuple[Word, list[Word]]]:
    for name, text, command in commands_of(build()):
        yield Word(name, text), words_of(command)


def _cases() -> str:
    return "\n".join(
        f'    {command.text}) words="{" ".join(word.text for word in words)}" ;;' for command, words in _commands()
    )


def bash() -> str:
    """Return the script for bash."""
    names = " ".join(command.text for command, _ in _commands())
    return f"""\
# bash completion of ringfence: source it, or put it into /etc/bash_completion.d
_ringfence() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words="{names}" word
  COMPREPLY=()
  case "$previous" in
    {"|".join(sorted(FILE_OPTIONS))}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in
{_cases()}
    *) continue ;;
    esac
    break
  done
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o filenames -F _ringfence ringfence"""


def zsh() -> str:
    """Return the script for zsh."""
    names = " ".join(command.text for command, _ in _commands())
    return f"""\
#compdef ringfence
# zsh completion of ringfence: put it into a directory of $fpath as _ringfence, or source it after compinit
_ringfence() {{
  local words_="{names}" word
  case "${{words[CURRENT-1]}}" in
    {"|".join(sorted(FILE_OPTIONS))}) _files; return ;;
  esac
  for word in "${{words[@]:1:CURRENT-2}}"; do
    case "$word" in
{_cases().replace("words=", "words_=")}
    *) continue ;;
    esac
    break
  done
  compadd -- ${{=words_}}
}}
compdef _ringfence ringfence"""


def fish() -> str:
    """Return the script for fish."""
    lines = [
        "# fish completion of ringfence: put it into ~/.config/fish/completions/ringfence.fish",
        "complete -c ringfence -f",
    ]
    for command, words in _commands():
        lines.append(f"complete -c ringfence -n __fish_use_subcommand -a {command.text} -d {_quoted(command.meaning)}")
        seen = f"-n '__fish_seen_subcommand_from {command.text}'"
        for word in words:
            option = f"-l {word.text[2:]}" if word.text.startswith("--") else f"-a {word.text}"
            files = " -r -F" if word.text in FILE_OPTIONS else ""
            lines.append(f"complete -c ringfence {seen} {option}{files} -d {_quoted(word.meaning)}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
