"""Reading what happens now: cameras, and recordings in their own time."""
