"""Models: finds, orders, builds and traces the `.sql` files of a project."""
