"""Captions what is spelled before a camera, or in a video: python examples/captions.py [VIDEO]"""

import sys
from collections.abc import Iterable
from contextlib import suppress

import av

import chereme
from chereme.types import Event

CAMERAS = {
    "linux": ("/dev/video0", "v4l2"),
    "darwin": ("0", "avfoundation"),
    "win32": ("video=Integrated Camera", "dshow"),  # the name that Windows shows
}


def show(events: Iterable[Event]) -> None:
    """A partial text is written over by the next one; a final one keeps its line."""
    for event in events:
        end = "\n" if event.kind == "final" and event.text else ""
        print(f"\r\033[K{event.text}", end=end, flush=True)


source, device = (sys.argv[1], None) if len(sys.argv) > 1 else CAMERAS[sys.platform]
options = {"framerate": "30"} if device else {}
recognizer = chereme.load("fingerspelling")
with av.open(source, format=device, options=options) as video, recognizer.stream() as stream:
    with suppress(KeyboardInterrupt):  # Ctrl-C ends the captions, not the last word
        for frame in video.decode(video=0):
            show(stream.push(frame.to_ndarray(format="rgb24"), frame.time))
    show(stream.finish())
