"""The database's tables, version by version. What has been released is never edited: append."""

import sqlite3
from contextlib import suppress

MIGRATIONS = (
    """
    CREATE TABLE files (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: a list goes on after a deleted file
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        filename TEXT NOT NULL,
        purpose TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        created_s INTEGER NOT NULL,
        expires_s INTEGER
    ) STRICT;
    CREATE INDEX files_of_project ON files (project, number);
    CREATE INDEX files_to_expire ON files (expires_s) WHERE expires_s IS NOT NULL;
    """,
    """
    CREATE TABLE keys (
        name TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL UNIQUE,  -- SHA-256
        label TEXT NOT NULL,
        project TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        revoked_s INTEGER
    ) STRICT;
    """,
    """
    CREATE TABLE traces (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        project TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        model TEXT NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        began_ns INTEGER NOT NULL,
        duration_ps INTEGER NOT NULL,
        first_seen_ps INTEGER,
        prompt_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        streamed INTEGER NOT NULL,
        logged INTEGER NOT NULL,
        detail_bytes INTEGER NOT NULL
    ) STRICT;
    -- Rare values are looked up; a page of common ones is read off the last index, from its end on.
    CREATE INDEX traces_by_project ON traces (project);
    CREATE INDEX traces_by_status ON traces (status);
    CREATE INDEX traces_by_outcome ON traces (outcome);
    CREATE INDEX traces_by_endpoint ON traces (endpoint);
    CREATE INDEX traces_by_model ON traces (model);
    CREATE INDEX traces_by_request_id ON traces (request_id);
    CREATE INDEX traces_to_search ON traces (began_ns, project, status, outcome, endpoint, model, request_id);
    CREATE TABLE trace_details (
        number INTEGER PRIMARY KEY REFERENCES traces ON DELETE CASCADE,
        detail BLOB NOT NULL  -- zlib, JSON
    ) STRICT;
    """,
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        key TEXT NOT NULL,
        tenant TEXT NOT NULL,
        source TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        input_file_id TEXT NOT NULL,
        metadata TEXT,  -- JSON
        outputs_last_s INTEGER,
        status TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        expires_s INTEGER NOT NULL,
        updated_s INTEGER NOT NULL,
        in_progress_s INTEGER,
        finalizing_s INTEGER,
        completed_s INTEGER,
        failed_s INTEGER,
        expired_s INTEGER,
        cancelling_s INTEGER,
        cancelled_s INTEGER,
        model TEXT,
        output_file_id TEXT,
        error_file_id TEXT,
        errors TEXT,  -- JSON
        lines INTEGER NOT NULL DEFAULT 0,
        lines_answered INTEGER NOT NULL DEFAULT 0,
        lines_failed INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX batches_of_project ON batches (project, number);
    CREATE INDEX batches_to_run ON batches (number)
        WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');
    CREATE TABLE batch_results (
        batch INTEGER NOT NULL REFERENCES batches,
        line INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        result BLOB NOT NULL,  -- a line of the output or error file
        PRIMARY KEY (batch, line)  -- no request is run again whose result is here
    ) STRICT;
    """,
    """
    CREATE TABLE sandboxes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        terminated_s INTEGER,
        ended_by TEXT,
        memory_mb INTEGER NOT NULL,
        milli_cpus INTEGER NOT NULL,
        image TEXT NOT NULL,  -- JSON, as all below: what the client stated
        labels TEXT NOT NULL,
        ports TEXT NOT NULL
    ) STRICT;
    CREATE INDEX sandboxes_of_project ON sandboxes (project, terminated_s IS NOT NULL, number);
    """,
    """
    CREATE TABLE responses (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        previous_id TEXT,
        response TEXT NOT NULL,
        items TEXT NOT NULL,
        tokens TEXT,
        task TEXT  -- of a background response that is not over
    ) STRICT;
    CREATE INDEX responses_to_run ON responses (number) WHERE task IS NOT NULL;
    CREATE TABLE conversations (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        metadata TEXT NOT NULL
    ) STRICT;
    CREATE TABLE conversation_items (
        number INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
        id TEXT NOT NULL,
        item TEXT NOT NULL
    ) STRICT;
    CREATE INDEX items_of_conversation ON conversation_items (conversation, number);
    CREATE INDEX items_by_id ON conversation_items (id);
    """,
    """
    CREATE TABLE logins (
        name TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL UNIQUE,  -- SHA-256
        created_s INTEGER NOT NULL,
        revoked_s INTEGER
    ) STRICT;
    CREATE TABLE platform_projects (
        slug TEXT NOT NULL PRIMARY KEY,
        organisation TEXT NOT NULL,
        name TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        UNIQUE (organisation, name)
    ) STRICT;
    CREATE TABLE secrets (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        is_local INTEGER NOT NULL,
        type TEXT NOT NULL,
        sealed BLOB NOT NULL,  -- encrypted with a key that is not in here
        UNIQUE (project, name)
    ) STRICT;
    CREATE TABLE artifacts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        config TEXT NOT NULL,  -- JSON
        created_s INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        digest TEXT  -- SHA-256, under which the content is kept; NULL while parts of it come in
    ) STRICT;
    CREATE INDEX artifacts_of_project ON artifacts (project, number);
    CREATE INDEX artifacts_by_digest ON artifacts (digest);
    CREATE TABLE deployments (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        artifact TEXT NOT NULL,  -- its id; old ones go before their deployments do
        created_s INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        started_s INTEGER,
        ended_s INTEGER
    ) STRICT;
    CREATE INDEX deployments_of_project ON deployments (project, number);
    CREATE TABLE app_spans (
        number INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        trace_id TEXT NOT NULL,  -- W3C's, hexadecimal, as the ids of spans
        span_id TEXT NOT NULL,
        parent_id TEXT,
        name TEXT NOT NULL,
        began_ns INTEGER NOT NULL,
        ended_ns INTEGER NOT NULL,
        detail TEXT NOT NULL  -- JSON
    ) STRICT;
    CREATE INDEX spans_of_trace ON app_spans (project, trace_id, began_ns);
    """,
)


class NewerDatabaseError(Exception):
    """A later version of the program has migrated it."""


def migrate(connection: sqlite3.Connection) -> None:
    """Each version whole or not at all. Raises NewerDatabaseError."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NewerDatabaseError
    for number, tables in enumerate(MIGRATIONS[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {tables}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
