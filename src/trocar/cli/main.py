"""``trocar``: run, stream and check units from the command line.

Exit codes: 0 done; 2 usage; 3 done, but some input could not be decoded; 65 bad input or contract;
66 pack not sound; 69 engine not available; 70 a fault of Trocar; 73 a result could not be written;
74 the source was lost; 76 a peer broke the protocol; 78 the audit log was changed; 130 interrupted,
outputs intact.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from trocar import RESEARCH_NOTICE, __version__
from trocar.backends.choices import ENGINE_DEFAULT, USUAL_THREAD_COUNT, Engine, Precision
from trocar.cli.console import Console, configure_log, printable
from trocar.cli.engine_progress import EngineProgress
from trocar.cli.exit_codes import INTERRUPTED, USAGE
from trocar.cli.run_audit import audited
from trocar.contracts.errors import InvariantError, TrocarError
from trocar.contracts.limits import DEADLINE_MS_DEFAULT, THREAD_COUNT_MAX

if TYPE_CHECKING:
    from trocar.backends.request import BackendRequest

__all__ = ["build_parser", "main"]

_Command = Callable[[argparse.Namespace, Console], int]

_DEMO_UNIT: Final = "polyp_segmentation"
_PACK_HELP: Final = "folder of another pack, or a pack in one file"
_TRUST_HELP: Final = "trusted keys and approved packs of a site, instead of those of the release"


# @need-ids: SRS_CLI_001, SRS_CLI_002, SRS_ERROR_001
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``trocar``; those of the process when None.

    Returns:
        The exit code.
    """
    parser = build_parser()
    # First of all, so that help, version and usage errors carry it too.
    Console(as_json=False).notice()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exc:
        return USAGE if exc.code else 0
    if options.run_command is None:
        parser.print_help()
        return USAGE
    console = Console(as_json=options.json)
    configure_log(is_verbose=options.verbose)
    try:
        if hasattr(options, "engine"):
            options.request = _request(options, console)
        with audited(getattr(options, "audit_log", None), console) as options.audit:
            return int(options.run_command(options, console))
    except TrocarError as exc:
        if isinstance(exc, InvariantError):
            _logger().error("invariant", exc_info=exc)
        console.failure(exc)
        return exc.exit_code
    except KeyboardInterrupt:
        console.message("stopped before the run began; nothing was written")
        return INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - outermost loop: a bug must end as an error with a code, with its record
        _logger().exception("unexpected", kind=type(exc).__name__)
        bug = InvariantError(
            f"unexpected {type(exc).__name__}: {exc}",
            advice="this is a fault of Trocar; report it with the log above",
        )
        console.failure(bug)
        return bug.exit_code


def _logger() -> Any:  # noqa: ANN401 - a logger takes whatever its processors are set up for
    """Return the log."""
    import structlog  # noqa: PLC0415 - brings asyncio, which help and version do not need

    return structlog.get_logger()


# @need-ids: SRS_START_001
def _later(module: str, name: str) -> _Command:
    """Return a command whose module is imported when it runs, and not to show help or a version."""

    def command(options: argparse.Namespace, console: Console) -> int:
        with _without_collection():
            imported = importlib.import_module(f"trocar.cli.{module}")
        return int(getattr(imported, name)(options, console))

    return command


# @need-ids: SRS_START_004
@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the collector of cycles from going through what is being imported, again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Parser(argparse.ArgumentParser):
    """A parser, and parsers of commands, that repeat no word of the user as it stands."""

    # @need-ids: SRS_CLI_006
    def error(self, message: str) -> NoReturn:
        """Print the usage and what was not understood; end with the exit code of a usage error."""
        super().error(printable(message))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as one JSON object")
    common.add_argument("--verbose", action="store_true", help="log every step to standard error")
    parser: argparse.ArgumentParser = _Parser(
        prog="trocar",
        description=f"Inference units for real-time medical imaging. {RESEARCH_NOTICE}.",
        epilog="start with: trocar demo",
    )
    parser.add_argument("--version", action="version", version=f"trocar {__version__}")
    parser.set_defaults(run_command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run_commands(commands, common)
    _add_show_commands(commands, common)
    _add_audit_commands(commands, common)
    return parser


def _add_run_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add demo, run and stream."""
    engine = _engine_options()
    audit = argparse.ArgumentParser(add_help=False)
    audit.add_argument(
        "--audit", dest="audit_log", type=Path, metavar="FILE", help="append to this audit log"
    )
    demo = commands.add_parser(
        "demo",
        parents=[common, engine, audit],
        help="run the main job on the clip that comes with it",
    )
    demo.add_argument(
        "--unit", default=_DEMO_UNIT, metavar="UNIT", help=f"{_DEMO_UNIT} where nothing is said"
    )
    demo.add_argument("-o", "--output", type=Path, default=Path("trocar-demo"), help="folder")
    demo.set_defaults(run_command=_later("commands_run", "demo"))
    run = commands.add_parser(
        "run", parents=[common, engine, audit], help="run a unit on images or a video, every frame"
    )
    run.add_argument("unit", metavar="UNIT")
    run.add_argument(
        "input", type=Path, metavar="INPUT", help="an image, a folder of images, or a video"
    )
    run.add_argument("-o", "--output", type=Path, required=True, help="folder")
    run.add_argument("--replace", action="store_true", help="replace an earlier record in OUT")
    run.set_defaults(run_command=_later("commands_run", "run"))
    _add_stream_command(commands, [common, engine, audit])


def _add_stream_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    parents: list[argparse.ArgumentParser],
) -> None:
    """Add stream."""
    stream = commands.add_parser(
        "stream", parents=parents, help="run a unit on a live stream, newest frame first"
    )
    stream.add_argument("unit", metavar="UNIT")
    stream.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="UNIT",
        help="another unit for the same frames; may be given several times",
    )
    stream.add_argument(
        "--source",
        required=True,
        metavar="URI",
        help="file:PATH, recording:FOLDER, rtsp://HOST:PORT/PATH, rtsp-udp://HOST:PORT/PATH, "
        "camera:DEVICE, igtl:HOST:PORT or igtl-listen:HOST:PORT",
    )
    stream.add_argument(
        "--sink",
        required=True,
        action="append",
        metavar="URI",
        help="mp4:PATH, jsonl:PATH, latency:FOLDER, masks:FOLDER, recording:FOLDER, "
        "igtl:HOST:PORT or igtl-listen:HOST:PORT; may be given several times",
    )
    stream.add_argument("--deadline-ms", type=int, default=DEADLINE_MS_DEFAULT)
    stream.add_argument("--loop", type=int, default=1, help="play a file this many times")
    stream.add_argument(
        "--as-fast-as-possible", action="store_true", help="take every frame, in its own time"
    )
    stream.add_argument(
        "--account", type=Path, metavar="FOLDER", help="write run.json and dropped_frames.csv there"
    )
    stream.add_argument(
        "--metrics", type=Path, metavar="PATH", help="write counters and health as Prometheus text"
    )
    stream.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        help="serve counters and health on this port of the loopback address",
    )
    stream.set_defaults(run_command=_later("commands_stream", "stream"))


def _add_show_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add units, show, pack and selftest."""
    units = commands.add_parser("units", parents=[common], help="list the units")
    units.set_defaults(run_command=_later("commands_show", "units"))
    show = commands.add_parser(
        "show",
        parents=[common],
        help="show a unit's contract, requirements, risk controls and card",
    )
    show.add_argument("unit", metavar="UNIT")
    show.add_argument("--pack", type=Path, help=_PACK_HELP)
    show.add_argument("--trust", type=Path, metavar="FOLDER", help=_TRUST_HELP)
    show.set_defaults(run_command=_later("commands_show", "show"))
    pack = commands.add_parser("pack", help="work with model packs")
    pack_commands = pack.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = pack_commands.add_parser(
        "verify", parents=[common], help="check a pack's signature, approval and every byte"
    )
    verify.add_argument("place", type=Path, metavar="DIR_OR_FILE")
    verify.add_argument("--trust", type=Path, metavar="FOLDER", help=_TRUST_HELP)
    verify.set_defaults(run_command=_later("commands_show", "pack_verify"))
    selftest = commands.add_parser(
        "selftest", parents=[common, _engine_options()], help="replay the packs' reference cases"
    )
    selftest.set_defaults(run_command=_later("commands_show", "selftest"))


def _add_audit_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add audit verify and audit show."""
    audit = commands.add_parser("audit", help="check and show an audit log")
    audit_commands = audit.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = audit_commands.add_parser(
        "verify", parents=[common], help="check each record and the chain of all of them"
    )
    verify.add_argument("files", type=Path, nargs="+", metavar="FILE")
    verify.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="DIGEST",
        help="digest of a record that was kept elsewhere; may be given several times",
    )
    verify.set_defaults(run_command=_later("commands_audit", "verify"))
    show = audit_commands.add_parser("show", parents=[common], help="list the records")
    show.add_argument("files", type=Path, nargs="+", metavar="FILE")
    show.set_defaults(run_command=_later("commands_audit", "show"))


def _engine_options() -> argparse.ArgumentParser:
    """Return the options that choose what runs."""
    engine = argparse.ArgumentParser(add_help=False)
    engine.add_argument("--pack", type=Path, help=_PACK_HELP)
    engine.add_argument("--trust", type=Path, metavar="FOLDER", help=_TRUST_HELP)
    engine.add_argument(
        "--engine", choices=[one.value for one in Engine], default=ENGINE_DEFAULT.value
    )
    engine.add_argument(
        "--precision", choices=[one.value for one in Precision], help="the pack's own if left out"
    )
    engine.add_argument(
        "--threads",
        type=int,
        default=USUAL_THREAD_COUNT,
        choices=range(1, THREAD_COUNT_MAX + 1),
        metavar="N",
        help=f"threads inside one call, 1 to {THREAD_COUNT_MAX}",
    )
    engine.add_argument(
        "--engine-cache",
        type=Path,
        metavar="FOLDER",
        help="where tensorrt keeps the engines that it builds; left out: built at each start",
    )
    return engine


def _request(options: argparse.Namespace, console: Console) -> BackendRequest:
    """Return what must run, of a command with engine options."""
    from trocar.backends.request import BackendRequest  # noqa: PLC0415 - brings NumPy, see _later

    return BackendRequest(
        engine=Engine(options.engine),
        precision=None if options.precision is None else Precision(options.precision),
        thread_count=options.threads,
        engine_cache=options.engine_cache,
        on_build=EngineProgress(console.message),
    )


if __name__ == "__main__":
    sys.exit(main())
