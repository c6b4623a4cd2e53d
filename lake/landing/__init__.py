"""Landing: one delivery becomes rows of raw, rows of quarantine and one line of the ledger, all or nothing."""
