"""The entry point of ``neural-style``: parse the arguments, run one command, turn errors into exit codes.

Each command is a module of plugin/cli/commands with its options beside its handler. PyTorch is imported only by the
handlers that need it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol

from nst_core.base.errors import StyleError
from plugin.cli.commands import (
    apply,
    distill,
    doctor,
    export,
    import_,
    render,
    study,
    styles,
    train,
    train_decoders,
    web,
)
from plugin.cli.reports import Report, visible
from plugin.cli.terminal import interrupts_noted, only_first_process_speaks
from plugin.engine.machine.memory import keep_freed_memory


class Command(Protocol):
    """The interface of a module of plugin/cli/commands."""

    SUMMARY: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to its parser. Defaults and ranges come from the settings that they fill."""

    def run(self, options: argparse.Namespace) -> Report:
        """Do the work, print lines for people, and return the report that ``--json`` prints in their place."""


COMMANDS: dict[str, Command] = {
    "apply": apply,
    "render": render,
    "study": study,
    "train": train,
    "distill": distill,
    "train-decoders": train_decoders,
    "export": export,
    "import": import_,
    "styles": styles,
    "web": web,
    "doctor": doctor,
}


@only_first_process_speaks()
def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns the exit code: 0 if it succeeded, 1 if some of many pictures failed, 2 for bad input, 130 if Ctrl-C
    cancelled it, 141 if the reader of its output has gone, 143 if SIGTERM stopped it, even where it keeps what it has.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    with interrupts_noted() as interrupted:
        code = _run(arguments, interrupted)
        if number := interrupted():  # a signal, from which any error follows
            code = 128 + number
    return code


def _run(arguments: list[str] | None, interrupted: Callable[[], int]) -> int:
    try:
        options = command_line_parser().parse_args(arguments)
        keep_freed_memory()
        report = COMMANDS[options.command].run(options)
        if interrupted() == signal.SIGINT:  # and a library swallowed the exception
            raise KeyboardInterrupt
        if options.json:
            print(_as_json(report))
        sys.stdout.flush()
    except StyleError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as error:
        if error.filename is None:  # only standard output is written without a name
            _discard_output()
        place = "standard output" if error.filename is None else os.fsdecode(error.filename)
        return _refuse(f"{place}: {error.strerror or error}; fix that or choose another file.")
    except (MemoryError, ImportError) as error:
        return _refuse_for_memory(error)
    except KeyboardInterrupt:
        return _refuse("cancelled", 130)
    return 1 if report.get("failed") else 0


def _as_json(report: Report) -> str:
    """Return a report as JSON that standard output can encode."""
    text = json.dumps(report, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")  # also refuses a file name whose bytes are no text
    except UnicodeEncodeError:
        text = json.dumps(report)
    return text


def _refuse(sentence: str, code: int = 2) -> int:
    with contextlib.suppress(OSError):  # nobody may be able to read it
        print(f"neural-style: {visible(sentence)}", file=sys.stderr, flush=True)
    return code


def _refuse_for_memory(error: MemoryError | ImportError) -> int:
    if isinstance(error, MemoryError) or "failed to map segment" in str(error):
        return _refuse("There is not enough memory; close other programs, raise the limit, or use a smaller picture.")
    raise error


def _discard_output() -> None:
    """Let the interpreter write nothing more to standard output when it exits, which would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command_line_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _OneSentenceParser(prog="neural-style", description="Paint a photo in the style of a painting.")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        subparser.set_defaults(command=name)
        subparser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        command.add_options(subparser)
    return parser


class _OneSentenceParser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_refuse(f"{message} (see {self.prog} --help)"))


if __name__ == "__main__":
    sys.exit(main())
