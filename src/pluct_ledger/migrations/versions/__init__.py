"""The revisions, oldest first by name; each keeps the release before it working."""
