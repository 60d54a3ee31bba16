"""Marks the events that a person decided a consumer shall never have."""

from alembic import op

revision = "chassis_0003"
down_revision = "chassis_0002"


def upgrade() -> None:
    """A constant default: no row is rewritten."""
    op.execute("ALTER TABLE inbox ADD COLUMN discarded boolean NOT NULL DEFAULT false")
