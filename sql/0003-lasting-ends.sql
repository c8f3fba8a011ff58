-- Resumable sessions are remembered as long as their file.

-- The other ones that are over are forgotten by time. The condition is
-- repeated where they are.
CREATE INDEX upload_over ON upload (updated_at)
    WHERE (state IN ('cancelled', 'failed', 'expired')
           OR (state = 'stored' AND (resumable = 0 OR concat = 'partial')));

-- Final sessions whose parts are not forgotten yet.
CREATE INDEX upload_stored_final ON upload (updated_at)
    WHERE parts IS NOT NULL AND state = 'stored';

-- Parts whose bytes are gone with a final session are no good any more: who
-- asks for them is to begin anew.
CREATE TRIGGER parts_go_with_their_final AFTER UPDATE OF state ON upload
WHEN NEW.parts IS NOT NULL AND OLD.state = 'stored' AND NEW.state = 'cancelled'
BEGIN
    UPDATE upload SET state = 'cancelled', updated_at = NEW.updated_at
    WHERE id IN (SELECT value FROM json_each(NEW.parts)) AND +state = 'stored';
END;
