"""The server behind ``chereme serve``. What comes from outside is decoded in other processes."""
