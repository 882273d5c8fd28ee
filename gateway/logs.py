"""Log lines: one an event, of what happened, where and when; never of what a record holds.

Our own lines name places and ids of ours. What libraries log, and what nobody caught, may quote
whatever they were given: an exception's text, a URL, a row. So of an exception only its kind and
the lines of code are told, and of a library's line its text only where that is a constant of one
that we know (``_PLAIN``); of any other, where in its code it was said.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Literal

import structlog

from gateway import meters
from gateway.errors import GatewayError, SettingError, StoreError, Throttled

Form = Literal["auto", "json", "console"]

_PLAIN: Final = ("uvicorn", "alembic")
"""Loggers of others whose texts are constants, before their arguments are put in."""

_FRAMES: Final = 8
_chosen: list[tuple[str, Form]] = []
_log = structlog.get_logger()


def configure(level: str, form: Form = "auto") -> None:
    """Log to stderr from now on, other libraries' lines from WARNING on and in the same form.

    ``form`` "auto" is for people where stderr is a terminal, else JSON lines. Raises SettingError
    for a level that isn't one.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SettingError("no such log level", place="GATEWAY_LOG_LEVEL")
    last: Any = structlog.processors.JSONRenderer()
    if form == "console" or (form == "auto" and sys.stderr.isatty()):
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_values,
    ]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    _take_over(shared, last, number)
    _chosen[:] = [(level, form)]


def chosen() -> tuple[str, Form] | None:
    """How this process logs, for those that it starts; None where nobody has said."""
    return _chosen[0] if _chosen else None


def where(trace: TracebackType | None) -> list[str]:
    """The last lines of code that an exception went through: ``file.py:12``."""
    frames = traceback.extract_tb(trace)
    return [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-_FRAMES:]]


def about(error: BaseException) -> dict[str, Any]:
    """An exception in a log line: stage and place of ours, kind and lines of code of any other."""
    if isinstance(error, GatewayError):
        return dict(error.log())
    return {"error": type(error).__name__, "where": where(error.__traceback__)}


def refusal(log: Any, event: str, error: GatewayError, **more: Any) -> None:
    """Log and count what is refused. A sender's own fault wakes nobody; a hub that can't, does."""
    meters.refused(error.stage, error.place)
    level = log.info
    if isinstance(error, Throttled) or error.code == Throttled.code:
        level = log.warning
    elif isinstance(error, StoreError) and error.status >= 500:
        level = log.error
    level(event, **more, **error.log())


def without_values(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Of exceptions, wherever they stand in a line, their kind."""
    fault = line.pop("exc_info", None)
    if fault is True:
        fault = sys.exc_info()
    if isinstance(fault, tuple):
        fault = fault[1]
    line.pop("stack_info", None)
    if isinstance(fault, BaseException):
        line.update(about(fault))
    for name, value in line.items():
        if isinstance(value, BaseException):
            line[name] = type(value).__name__
    return line


# --- what isn't logged by us ----------------------------------------------------------------------


def _take_over(shared: list[Any], last: Any, level: int) -> None:
    """The standard library's loggers, warnings, and what nobody caught, in our form."""
    formatter = structlog.stdlib.ProcessorFormatter(
        use_get_message=False,  # a line's arguments are what it quotes
        foreign_pre_chain=[_foreign, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_worded)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.getLogger("gateway").setLevel(level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda told: _lost(told.exc_value)
    threading.excepthook = lambda told: _lost(told.exc_value)


def _worded(record: logging.LogRecord) -> bool:
    """Put the arguments into a line of ours: the formatter takes them off before it asks anybody.

    Always True: the line stays.
    """
    if record.name.partition(".")[0] == "gateway":
        record.msg, record.args = record.getMessage(), ()
    return True


def _foreign(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A line of the standard library's: its text only where that is a constant."""
    record: logging.LogRecord = line["_record"]
    name = record.name.partition(".")[0]
    ours = name == "gateway"
    known = ours or name in _PLAIN
    line["event"] = record.msg if known and isinstance(record.msg, str) else name
    line["logger"] = record.name
    line["said_at"] = f"{PurePath(record.pathname).name}:{record.lineno}"
    fields = getattr(record, "about", None)  # what our own lines say by ``extra``
    if ours and isinstance(fields, dict):
        line.update(fields)
    line["exc_info"] = record.exc_info
    return line


def _uncaught(kind: type[BaseException], fault: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("uncaught", **about(fault))


def _lost(fault: BaseException | None) -> None:
    if fault is not None and not isinstance(fault, SystemExit):
        _log.error("uncaught", thread=threading.current_thread().name, **about(fault))
