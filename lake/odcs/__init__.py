"""Reading contracts: ODCS files into `lake.contract`'s words, every fault with its file, line and key."""
