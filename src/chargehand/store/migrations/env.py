"""What alembic runs: our migrations, inside of the transaction that the connection is in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
