"""The `servers` of a contract: where its source delivers. One file for each kind; adding one is a line in `reading`."""
