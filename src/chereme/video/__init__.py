"""Reading recordings as upright RGB frames with true timestamps, and writing them.

One interface reads a video file, a single picture and a folder of numbered pictures::

    with open_video("clip.mp4") as video:
        for frame in video:                # frame.image (H, W, 3) uint8 RGB, frame.timestamp in s
            ...
        print(video.facts)                 # size, effective rate, damage

Files are decoded packet by packet in constant memory. What a header says about rate, duration and
number of frames is never trusted.
"""

from chereme.video.reader import VideoReader, frame_times, open_video
from chereme.video.source import Limits
from chereme.video.writer import write_video

__all__ = ["Limits", "VideoReader", "frame_times", "open_video", "write_video"]
