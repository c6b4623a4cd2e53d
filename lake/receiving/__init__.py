"""What is posted: kept on disk before it is answered, known by its receipt, and handed to the landing pass."""
