"""Sources: where deliveries come from. Adding one is a small file that gives deliveries."""
