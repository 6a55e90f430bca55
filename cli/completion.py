"""Completion scripts for bash, zsh and fish, made from the parser: they cannot fall behind it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from cli.exits import Exit
from cli.parser import build, commands_of
from cli.terminal import say
from cli.words import KINDS

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


def _commands() -> Iterator[tuple[Word, list[Word], argparse.ArgumentParser]]:
    for name, text, command in commands_of(build()):
        yield Word(name, text), words_of(command), command


def _before_files(command: argparse.ArgumentParser) -> list[str]:
    """Return the words after which a command takes names of files; none where it takes no such."""
    positional = [action for action in command._actions if not action.option_strings]  # noqa: SLF001 - as above
    takes_files = any(action.metavar == "FILE" for action in positional)
    return [str(choice) for action in positional for choice in action.choices or ()] if takes_files else []


def _words_follow() -> str:
    """Return the options, as a pattern, after which comes something that nobody can guess."""
    commands = [command for _, _, command in commands_of(build())]
    actions = [action for command in commands for action in command._actions]  # noqa: SLF001 - as above
    free = {o for a in actions if a.nargs is None and not a.choices for o in a.option_strings}
    return "|".join(sorted(free - FILE_OPTIONS))


def _cases(variable: str, seen: str) -> str:
    lines = []
    for name, _, command in commands_of(build()):
        lines.append(f'    {name}) {variable}="{" ".join(word.text for word in words_of(command))}"')
        for word in _before_files(command):
            files = f'{variable}="${{{variable}/{word}/}}"; files=1'
            lines.append(f'      if [[ " {seen} " == *" {word} "* ]]; then {files}; fi')
        lines[-1] += " ;;"
    return "\n".join(lines)


def bash() -> str:
    """Return the script for bash."""
    names = " ".join(command.text for command, _, _ in _commands())
    return f"""\
# bash completion of ringfence: source it, or put it into /etc/bash_completion.d
_ringfence() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words="{names}" word files=
  COMPREPLY=()
  case "$previous" in
    {"|".join(sorted(FILE_OPTIONS))}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    {_words_follow()}) return ;;
  esac
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in
{_cases("words", "${COMP_WORDS[*]:1:COMP_CWORD-1}")}
    *) continue ;;
    esac
    break
  done
  if [[ $files && $current != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}}
complete -o filenames -F _ringfence ringfence"""


def zsh() -> str:
    """Return the script for zsh."""
    names = " ".join(command.text for command, _, _ in _commands())
    return f"""\
#compdef ringfence
# zsh completion of ringfence: put it into a directory of $fpath as _ringfence, or source it after compinit
_ringfence() {{
  local words_="{names}" word files=
  case "${{words[CURRENT-1]}}" in
    {"|".join(sorted(FILE_OPTIONS))}) _files; return ;;
    {_words_follow()}) return ;;
  esac
  for word in "${{words[@]:1:CURRENT-2}}"; do
    case "$word" in
{_cases("words_", "${words[2,CURRENT-1]}")}
    *) continue ;;
    esac
    break
  done
  if [[ -n $files && $words[CURRENT] != -* ]]; then _files; else compadd -- ${{=words_}}; fi
}}
compdef _ringfence ringfence"""


def fish() -> str:
    """Return the script for fish."""
    lines = [
        "# fish completion of ringfence: put it into ~/.config/fish/completions/ringfence.fish",
        "complete -c ringfence -f",
    ]
    for command, words, parser in _commands():
        lines.append(f"complete -c ringfence -n __fish_use_subcommand -a {command.text} -d {_quoted(command.meaning)}")
        seen = f"-n '__fish_seen_subcommand_from {command.text}'"
        for word in words:
            option = f"-l {word.text[2:]}" if word.text.startswith("--") else f"-a {word.text}"
            files = " -r -F" if word.text in FILE_OPTIONS else ""
            lines.append(f"complete -c ringfence {seen} {option}{files} -d {_quoted(word.meaning)}")
        for choice in _before_files(parser):
            both = f"{seen[:-1]}; and __fish_seen_subcommand_from {choice}'"
            lines.append(f"complete -c ringfence {both} -F")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
