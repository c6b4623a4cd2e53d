"""Gates: Soda checks on a stage's candidate tables, and their verdicts."""
