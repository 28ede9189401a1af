"""The process that does one job for the server (``chereme.web.jobs``), and ends.

It is given bytes on standard input and answers on standard output (``chereme.web.messages``), and
opens no file but those of the installation. Its memory is limited before anything comes in. When
standard input ends, so does it, whatever it is doing: a server that is gone leaves none behind.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import BinaryIO

from chereme.errors import CheremeError, InputError, LimitError, UsageError
from chereme.web import messages


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
        # All that a job needs is imported while there is none.
        import av  # noqa: F401
        import onnxruntime  # noqa: F401

        from chereme._imports import find
        from chereme.recognition.tasks import TASKS
        from chereme.web.jobs import JOBS

        for task in TASKS.values():
            find(task.recognizer)

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


def _told(error: BaseException) -> dict[str, str]:
    """The kind of an error and its text: those that a client can mend, and others."""
    for kind in (LimitError, InputError, UsageError, MemoryError):
        if isinstance(error, kind):
            return {"kind": kind.__name__, "text": str(error)}
    if isinstance(error, CheremeError):
        return {"kind": "CheremeError", "text": str(error)}
    return {"kind": "", "text": "".join(traceback.format_exception(error))}


if __name__ == "__main__":
    main()
