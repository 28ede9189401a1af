"""The papers: one system, one folder."""
