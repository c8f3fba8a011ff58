-- Every statement that slipway runs, by name. A statement begins after a line
-- `-- name: NAME` and ends with its semicolon; the build makes SQL_NAME of it.
-- A term that only repeats the condition of a partial index is there for SQLite
-- to use that index; a + before a column keeps it from using one.

-- name: upload_insert
INSERT INTO upload (id, home, state, resumable, file, name, type, total,
                    received, echo, fields, concat, parts, sha256, updated_at)
VALUES (:id, :home, 'receiving', :resumable, :file, :name, :type, :total, 0,
        :echo, :fields, :concat, :parts, :sha256, :now)
ON CONFLICT DO NOTHING;

-- name: upload_get
SELECT home, state, resumable, total, received, error, updated_at, echo, concat
FROM upload WHERE id = :id;

-- name: upload_resume
SELECT home, state, resumable, file, name, type, total, received, digest_state,
       updated_at, claim, fields, concat, parts, sha256
FROM upload WHERE id = :id;

-- name: upload_checkpoint
UPDATE upload
SET received = :received, total = coalesce(total, :total),
    name = coalesce(:name, name), type = coalesce(:type, type),
    fields = coalesce(:fields, fields),
    sha256 = coalesce(:sha256, sha256),
    digest_state = :digest_state, updated_at = :now
WHERE id = :id AND state = 'receiving' AND received = :expected;

-- name: upload_state
SELECT state, claim, resumable, updated_at FROM upload WHERE id = :id;

-- Always a change, also within the same millisecond (see db.h).
-- name: upload_touch
UPDATE upload SET updated_at = max(:now, updated_at + 1)
WHERE id = :id AND state = 'receiving';

-- name: upload_claim
UPDATE upload SET claim = claim + 1
WHERE id = :id AND state IN ('receiving', 'publishing')
RETURNING claim;

-- name: upload_publish
UPDATE upload
SET state = 'publishing', received = :received, updated_at = :now
WHERE id = :id AND state = 'receiving';

-- name: upload_stored
UPDATE upload
SET state = 'stored', total = coalesce(total, received), digest_state = NULL,
    updated_at = :now
WHERE id = :id AND state = 'publishing';

-- name: upload_cancel
UPDATE upload
SET state = 'cancelled', digest_state = NULL, updated_at = :now
WHERE id = :id AND state = 'receiving';

-- name: upload_fail
UPDATE upload
SET state = 'failed', error = :error, digest_state = NULL, updated_at = :now
WHERE home = :home AND state IN ('receiving', 'publishing');

-- Homes of sessions that are not over, if they would not outlive their process
-- or were being published.
-- name: homes_unfinished
SELECT home FROM upload
WHERE state IN ('receiving', 'publishing') AND updated_at <= :before
  AND (resumable = 0 OR state = 'publishing') AND home > :after
UNION
SELECT upload FROM file
WHERE state = 'publishing' AND state <> 'stored'
  AND created_at <= :before * 1000 AND upload > :after
ORDER BY 1 LIMIT :limit;

-- A resumable session goes back to where it was before it was published.
-- name: upload_reopen
UPDATE upload SET state = 'receiving', updated_at = :now
WHERE home = :home AND state = 'publishing' AND resumable = 1;

-- name: files_publishing
SELECT id FROM file
WHERE upload = :upload AND state = 'publishing' AND directory IS NULL;

-- Always a change: it settles that these are not stored (see db.h).
-- name: files_retract
UPDATE file SET created_at = max(:now, created_at + 1)
WHERE upload = :upload AND state = 'publishing';

-- name: files_unpublish
DELETE FROM file WHERE upload = :upload AND state = 'publishing';

-- name: upload_has_home
SELECT resumable FROM upload
WHERE home = :home AND state IN ('receiving', 'publishing');

-- Not those that clients may still ask for because their file is there.
-- name: uploads_forget
DELETE FROM upload INDEXED BY upload_over
WHERE (state IN ('cancelled', 'failed', 'expired')
       OR (state = 'stored' AND (resumable = 0 OR concat = 'partial')))
  AND updated_at < max(:before, :before_resumable)
  AND updated_at < iif(resumable, :before_resumable, :before);

-- Its parts are forgotten by now, or soon: their ids may come again.
-- name: finals_forget_parts
UPDATE upload INDEXED BY upload_stored_final SET parts = NULL
WHERE parts IS NOT NULL AND state = 'stored' AND updated_at < :before;

-- Nobody went on with these, and no final session needs them.
-- name: uploads_expire
UPDATE upload SET state = 'expired', digest_state = NULL, updated_at = :now
WHERE id IN (
    SELECT id FROM upload AS old
    WHERE state = 'receiving' AND resumable = 1 AND updated_at < :before
      AND NOT EXISTS (
          SELECT 1 FROM upload AS final INDEXED BY upload_open_final
          WHERE old.concat = 'partial' AND final.parts IS NOT NULL
            AND final.state IN ('receiving', 'publishing')
            AND instr(final.parts, '"' || old.id || '"') > 0)
    ORDER BY updated_at LIMIT :limit)
RETURNING home;

-- A stored session whose files were removed at its own URL.
-- name: upload_terminate
UPDATE upload SET state = 'cancelled', updated_at = :now
WHERE id = :id AND state = 'stored';

-- The partial sessions of a final one, in order; NULLs for an unknown one.
-- name: parts_get
SELECT home, file, name, received, state, concat IS 'partial',
       total IS received, updated_at
FROM json_each(:parts) AS part LEFT JOIN upload ON upload.id = part.value
ORDER BY part.key;

-- Bytes of the partial sessions, each counted once.
-- name: parts_size
SELECT coalesce(sum(received), 0) FROM upload
WHERE id IN (SELECT value FROM json_each(:parts));

-- The parts of a final session live as long as the session itself.
-- name: parts_touch
UPDATE upload SET updated_at = :now
WHERE id IN (SELECT value FROM json_each(:parts)) AND +state = 'receiving';

-- Partial sessions whose bytes have become part of a final one, unless another
-- one still needs them.
-- name: parts_consume
UPDATE upload SET state = 'stored', digest_state = NULL, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:parts)) AND +state = 'receiving'
  AND NOT EXISTS (
      SELECT 1 FROM upload AS final INDEXED BY upload_open_final
      WHERE final.parts IS NOT NULL
        AND final.state IN ('receiving', 'publishing')
        AND instr(final.parts, '"' || upload.id || '"') > 0)
RETURNING home;

-- name: final_get
SELECT id FROM upload
WHERE parts = :parts AND state IN ('receiving', 'publishing', 'stored')
LIMIT 1;

-- Final sessions that are stored, with partial ones that still have bytes.
-- name: finals_unconsumed
SELECT id, parts FROM upload INDEXED BY upload_stored_final
WHERE parts IS NOT NULL AND state = 'stored' AND id > :after
  AND EXISTS (SELECT 1 FROM json_each(upload.parts) AS part
              CROSS JOIN upload AS partial ON partial.id = part.value
              WHERE +partial.state = 'receiving')
ORDER BY id LIMIT 1;

-- name: finals_unfinished
SELECT id FROM upload INDEXED BY upload_open_final
WHERE parts IS NOT NULL AND state IN ('receiving', 'publishing')
  AND id > :after
ORDER BY id LIMIT 1;

-- name: file_insert
INSERT INTO file (id, upload, directory, is_directory, state, position, mount,
                  path, name, size, count, type, sha256, created_at)
VALUES (:id, :upload, :directory, :is_directory, 'publishing', :position,
        :mount, :path, :name, :size, :count, :type, :sha256, :now);

-- name: form_insert
INSERT INTO form (upload, metadata) VALUES (:upload, :metadata);

-- Later than every other file, in order of arrival within the upload.
-- name: files_stored
UPDATE file
SET state = 'stored',
    created_at = position + max(:now, 1 + coalesce((
        SELECT created_at FROM file
        WHERE directory IS NULL AND state = 'stored'
        ORDER BY created_at DESC LIMIT 1), 0))
WHERE upload = :upload AND state = 'publishing';

-- name: file_get
SELECT id, directory, is_directory, path, name, size, count, type, sha256,
       created_at, coalesce(metadata, '{}')
FROM file LEFT JOIN form USING (upload) WHERE id = :id AND state = 'stored';

-- name: files_of_upload
SELECT id, directory, is_directory, path, name, size, count, type, sha256,
       created_at, coalesce(metadata, '{}')
FROM file LEFT JOIN form USING (upload)
WHERE upload = :upload AND state = 'stored' AND directory IS NULL
ORDER BY position;

-- name: files_of_directory
SELECT id, directory, is_directory, path, name, size, count, type, sha256,
       created_at, coalesce(metadata, '{}')
FROM file LEFT JOIN form USING (upload)
WHERE directory = :directory AND state = 'stored'
ORDER BY name LIMIT :limit;

-- The metadata filter is a JSON object {key: value}; a file passes if each of
-- its members is among the values that the file has for that key.
-- name: files_page
SELECT id, directory, is_directory, path, name, size, count, type, sha256,
       created_at, coalesce(metadata, '{}')
FROM file LEFT JOIN form USING (upload)
WHERE directory IS NULL AND state = 'stored'
  AND created_at < :before
  AND (:name IS NULL OR instr(lower(name), lower(:name)) > 0)
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:metadata) AS wanted
      WHERE NOT EXISTS (
          SELECT 1
          FROM json_each(form.metadata) AS had,
               json_each(CASE had.type WHEN 'array' THEN had.value
                         ELSE json_array(had.value) END) AS one
          WHERE had.key = wanted.key AND one.value = wanted.value))
ORDER BY created_at DESC
LIMIT :limit;

-- name: file_mark
UPDATE file SET state = 'deleting'
WHERE (id = :id OR directory = :id) AND state = 'stored';

-- What a session has stored; without a row its id is its home.
-- name: files_terminate
UPDATE file SET state = 'deleting'
WHERE upload = coalesce((SELECT home FROM upload WHERE id = :id), :id)
  AND state = 'stored';

-- name: files_undo
UPDATE file SET state = 'deleting'
WHERE upload = :upload AND state = 'publishing';

-- A resumable session is over when all it had stored is gone.
-- name: upload_emptied
UPDATE upload SET state = 'cancelled', updated_at = :now
WHERE home = (SELECT upload FROM file WHERE id = :file)
  AND state = 'stored' AND resumable = 1
  AND NOT EXISTS (SELECT 1 FROM file
                  WHERE file.upload = upload.home AND state = 'stored');

-- name: directory_shrink
UPDATE file
SET size = size - (SELECT size FROM file WHERE id = :id), count = count - 1
WHERE id = (SELECT directory FROM file WHERE id = :id);

-- A directory upload goes as a whole, so its files are not listed with it.
-- name: files_marked
SELECT id, directory, path FROM file
WHERE state = 'deleting' AND state <> 'stored' AND id > :after
  AND NOT EXISTS (SELECT 1 FROM file AS parent
                  WHERE parent.id = file.directory
                    AND parent.state = 'deleting')
ORDER BY id LIMIT :limit;

-- name: file_marked
SELECT id, directory, path FROM file WHERE id = :id AND state = 'deleting';

-- name: file_forget
DELETE FROM file WHERE id = :id AND state = 'deleting';

-- name: leases_forget
DELETE FROM lease WHERE name <> 'sweep' AND until < :now;

-- name: lease_get
SELECT until FROM lease WHERE name = :name;

-- A lease that ends too far ahead was written under a wrong clock.
-- name: lease_take
UPDATE lease SET until = :until
WHERE name = :name AND (until <= :now OR until > :until);

-- name: lease_put
INSERT INTO lease (name, until) VALUES (:name, :until)
ON CONFLICT (name) DO UPDATE SET until = excluded.until;
