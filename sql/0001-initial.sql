-- The first schema. Times are milliseconds since 1970-01-01T00:00:00Z, but for
-- file.created_at.

-- One upload session: everything that arrives under one upload id, from its
-- first byte until its end, and for a bounded time after that.
CREATE TABLE upload (
    id TEXT NOT NULL PRIMARY KEY,   -- chosen by the caller, or equal to home
    home TEXT NOT NULL UNIQUE,      -- its directory below incoming/, 26 chars
    state TEXT NOT NULL CHECK (state IN ('receiving', 'publishing', 'stored',
                                         'cancelled', 'failed', 'expired')),
    resumable INTEGER NOT NULL,     -- 1: received bytes outlive the request
    file TEXT,                      -- id of the file of a resumable session
    name TEXT,                      -- its cleaned name
    type TEXT,                      -- its media type
    total INTEGER,                  -- announced bytes, NULL while unknown
    received INTEGER NOT NULL,      -- bytes acknowledged or shown as progress
    digest_state BLOB,              -- SHA-256 midstate at received, or NULL
    error TEXT,                     -- slug of the failure, where state='failed'
    updated_at INTEGER NOT NULL     -- when anything in this row last changed
) STRICT, WITHOUT ROWID;

-- Recovery and cleaning look for sessions by state and age.
CREATE INDEX upload_by_state ON upload (state, updated_at);

-- One finished thing: a file, a directory upload, or a file inside of one.
CREATE TABLE file (
    id TEXT NOT NULL PRIMARY KEY,   -- 26 characters of lower-case base32
    upload TEXT NOT NULL,           -- home of its session, which may be gone
    directory TEXT                  -- the directory upload it belongs to
        REFERENCES file (id) ON DELETE CASCADE,
    is_directory INTEGER NOT NULL,  -- 1: a directory upload
    state TEXT NOT NULL CHECK (state IN ('publishing', 'stored', 'deleting')),
    position INTEGER NOT NULL,      -- order of arrival within the upload
    mount TEXT NOT NULL,            -- name of the mount that holds it
    path TEXT NOT NULL,             -- below the mount's directory
    name TEXT NOT NULL,             -- cleaned name; relative in a directory
    size INTEGER NOT NULL,          -- bytes; of a directory: of all its files
    count INTEGER NOT NULL,         -- files: 1, or those of the directory
    type TEXT NOT NULL,             -- media type to serve it with
    sha256 BLOB,                    -- 32 bytes, NULL where not computed
    created_at INTEGER NOT NULL     -- when it was stored: microseconds, made
                                    -- unique, so that they order the list
) STRICT, WITHOUT ROWID;

-- The list, newest first, shows whole uploads only.
CREATE INDEX file_by_age ON file (created_at)
    WHERE directory IS NULL AND state = 'stored';

-- The files of one upload, and of one directory.
CREATE INDEX file_by_upload ON file (upload, position);
CREATE INDEX file_by_directory ON file (directory)
    WHERE directory IS NOT NULL;

-- Files on their way in or out, for recovery.
CREATE INDEX file_in_motion ON file (state) WHERE state <> 'stored';

-- The form's fields, once for all files of an upload that has any.
CREATE TABLE form (
    upload TEXT NOT NULL PRIMARY KEY, -- as in file
    metadata TEXT NOT NULL            -- JSON object
) STRICT, WITHOUT ROWID;

CREATE TRIGGER form_goes_with_its_last_file AFTER DELETE ON file
WHEN NOT EXISTS (SELECT 1 FROM file WHERE upload = OLD.upload)
BEGIN
    DELETE FROM form WHERE upload = OLD.upload;
END;

-- Work that one process at a time may do.
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY, -- what is leased
    until INTEGER NOT NULL          -- when it is free again
) STRICT, WITHOUT ROWID;

INSERT INTO lease (name, until) VALUES ('sweep', 0);
