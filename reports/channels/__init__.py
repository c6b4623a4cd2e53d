"""Where messages go: one small file per channel behind the protocol of `channel.py`."""
