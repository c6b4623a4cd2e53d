"""The Prefect skin and the command line: schedules, retries and arguments, nothing else."""
