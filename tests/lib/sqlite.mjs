// Questions to a database through the sqlite3 command, in its own process: a
// second connection in one process could drop the locks of the first.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

// The rows of one SELECT as an array of objects.
export async function query(file, sql) {
  const { stdout } = await run('sqlite3', [
    '-readonly', '-json', '-cmd', '.timeout 5000', file, sql,
  ]);
  return stdout.trim() === '' ? [] : JSON.parse(stdout);
}

// The first column of the first row.
export async function value(file, sql) {
  const [row] = await query(file, sql);
  return row && Object.values(row)[0];
}

// Throws unless the database passes SQLite's own check.
export async function integrity(file) {
  const answer = await value(file, 'PRAGMA integrity_check');
  if (answer !== 'ok') throw new Error(`integrity_check of ${file}: ${answer}`);
}
