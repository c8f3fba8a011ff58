-- What resumable sessions need beside the row of any session.

-- Counts those who want the session while another request holds it: the
-- holder lets go when it changes.
ALTER TABLE upload ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;

-- A text of the client that is told back as it was: tus' Upload-Metadata.
ALTER TABLE upload ADD COLUMN echo TEXT;

-- JSON object: what the file's metadata will be.
ALTER TABLE upload ADD COLUMN fields TEXT;

-- tus' Upload-Concat as the client sent it: 'partial', 'final;...', or NULL.
ALTER TABLE upload ADD COLUMN concat TEXT;

-- Of a final session: JSON array with the ids of its partial ones in order.
-- NULL for any other session.
ALTER TABLE upload ADD COLUMN parts TEXT;

-- 32 bytes that the digest of the whole file must have, or NULL.
ALTER TABLE upload ADD COLUMN sha256 BLOB;

-- Final sessions that are not over still need their parts.
CREATE INDEX upload_open_final ON upload (id)
    WHERE parts IS NOT NULL AND state IN ('receiving', 'publishing');

-- A final session is found by its parts, and there is one of them.
CREATE UNIQUE INDEX upload_by_parts ON upload (parts)
    WHERE parts IS NOT NULL AND state IN ('receiving', 'publishing', 'stored');
