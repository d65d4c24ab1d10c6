"""Full-text search over what has been said.

The index has no copy of the texts. Replies that stream are left out until they end: they are
written again each second, and are on screen.
"""

from __future__ import annotations

from typing import Final

from app.store.migrations.step import Step

STEP: Final = Step(
    """
    CREATE VIEW said AS SELECT id, content FROM messages WHERE state <> 'streaming';
    CREATE VIRTUAL TABLE said_words USING fts5 (
        content, content = 'said', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2'
    );
    INSERT INTO said_words (said_words) VALUES ('rebuild');
    CREATE TRIGGER said_added AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
        INSERT INTO said_words (rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TRIGGER said_removed AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
        INSERT INTO said_words (said_words, rowid, content)
        VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER said_changed AFTER UPDATE OF content, state ON messages BEGIN
        INSERT INTO said_words (said_words, rowid, content)
        SELECT 'delete', old.id, old.content WHERE old.state <> 'streaming';
        INSERT INTO said_words (rowid, content)
        SELECT new.id, new.content WHERE new.state <> 'streaming';
    END;
    """,
    only_adds=True,
)
