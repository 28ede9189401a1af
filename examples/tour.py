# %% [markdown]
# # What chereme reads, step by step
# Run the cells in VS Code, Spyder or PyCharm, or all of them: `python examples/tour.py`.

# %%
import numpy as np

import chereme
from chereme.recognition.hand_landmarks import detect_hands
from chereme.video import open_video

VIDEO = "examples/hello.mp4"  # or one of yours

# %% [markdown]
# ## A recording
# `text` is what was spelled; each letter has its time and its probability.

# %%
recognizer = chereme.load("fingerspelling")
transcript = recognizer.recognize(VIDEO)
print(f"read: {transcript.text}")
for letter in transcript.tokens:
    bar = "#" * round(20 * letter.probability)
    print(f"  {letter.text}  {letter.start:5.2f} to {letter.end:5.2f} s  {bar}")

# %% [markdown]
# ## What else it may be
# Texts that were nearly read, and what to know about the recording.

# %%
for other in transcript.alternatives:
    print(f"  {other.text}  {other.probability:.1%}")
print(f"a hand in {transcript.info['hand_coverage']:.0%} of the frames", *transcript.warnings)

# %% [markdown]
# ## Frames as they come
# As from a camera: partial texts first, then one that stays.

# %%
with open_video(VIDEO) as video, recognizer.stream() as stream:
    events = [event for frame in video for event in stream.push(frame)]
    events += stream.finish()
for event in events:
    print(f"  {event.kind:8} {event.text}")

# %% [markdown]
# ## Words that are expected
# A list of names makes close letters clear. What is not in it can still be read.

# %%
names = chereme.load("fingerspelling", words=["helga", "hello", "holly"])
print(f"among names: {names.recognize(VIDEO).text}")

# %% [markdown]
# ## Landmarks, for programs of your own
# 21 joints of each hand in each frame, in pixels; NaN where there is none.

# %%
landmarks = detect_hands(VIDEO).landmarks
wrist = landmarks.landmarks[:, 0, 0, :2]  # of the first hand, x and y
print(f"{len(landmarks.timestamps)} frames, hands: {', '.join(landmarks.handedness)}")
moves = np.nanmax(wrist, axis=0) - np.nanmin(wrist, axis=0)
print(f"its wrist moves {moves[0]:.0f} pixels across, {moves[1]:.0f} down")
