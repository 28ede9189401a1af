"""The process that reads one upload for the server, and ends.

It is given bytes on standard input and answers on standard output (``chereme.web.messages``), and
opens no file but those of the installation. Its memory is limited before anything comes in. When
standard input ends, so does it, whatever it is doing: a server that is gone leaves none behind.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, BinaryIO

from chereme.errors import CheremeError, InputError, LimitError, UsageError
from chereme.web import messages

Send = Callable[[bytes], None]
Receive = Callable[[], bytes]


def main() -> None:
    """Do the one job that comes in. Arguments: bytes of addresses that may be used."""
    requests, answers = _take_streams()
    _limit(int(sys.argv[1]))
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()

    def send(message: bytes) -> None:
        answers.write(messages.pack(message))
        answers.flush()

    try:
        _import_early()
        job = json.loads(inbox.get())
        JOBS[job.pop("kind")](inbox.get, send, **job)
    except BaseException as error:
        send(json.dumps({"error": _told(error)}).encode())
    os._exit(0)  # past what libraries do at exit, and the thread that waits for more


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, which nothing else shall touch: a library may print."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    return requests, answers


def _limit(memory: int) -> None:
    """No more addresses than this, no core dump, and no byte written to a file."""
    if sys.platform != "linux":  # elsewhere the limit is unknown, refused, or has no effect
        return
    import resource

    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _listen(requests: BinaryIO, inbox: SimpleQueue[bytes]) -> None:
    while (message := messages.read(requests)) is not None:
        inbox.put(message)
    os._exit(0)


def _import_early() -> None:
    """What every job needs, while there is none."""
    import av  # noqa: F401

    from chereme.recognition import fingerspelling, isolated  # noqa: F401


def _told(error: BaseException) -> dict[str, str]:
    """The kind of an error and its text: those that a client can mend, and others."""
    for kind in (LimitError, InputError, UsageError, MemoryError):
        if isinstance(error, kind):
            return {"kind": kind.__name__, "text": str(error)}
    if isinstance(error, CheremeError):
        return {"kind": "CheremeError", "text": str(error)}
    return {"kind": "", "text": "".join(traceback.format_exception(error))}


def _load(model: str, options: dict[str, Any], limits: dict[str, Any]) -> Any:
    from chereme.recognition.registry import task_of
    from chereme.recognition.tasks import TASKS
    from chereme.video import Limits

    return TASKS[task_of(model)].load(model, limits=Limits(**limits), **options)


def _recognize(
    receive: Receive,
    send: Send,
    *,
    model: str,
    options: dict[str, Any],
    limits: dict[str, Any],
    name: str | None,
    form: str,
    top: int,
) -> None:
    """Read the file whose content comes in messages, of which an empty one is the end; answer with
    an empty object, and with what was read in the format ``form``."""
    from chereme.formats.files import MemoryFile
    from chereme.formats.transcripts import check_format
    from chereme.web.rendering import render

    recognizer = _load(model, options, limits)
    check_format(form, timed=recognizer.timed)
    content = io.BytesIO()
    for part in _until_empty(receive):
        content.write(part)
    transcript = recognizer.recognize(MemoryFile(content.getvalue(), name))
    answer = render(transcript, name, form, top)
    send(b"{}")
    send(answer)


def _until_empty(receive: Receive) -> Iterator[bytes]:
    while part := receive():
        yield part


JOBS: dict[str, Callable[..., None]] = {"recognize": _recognize}

if __name__ == "__main__":
    main()
