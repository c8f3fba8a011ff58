// What the end-to-end tests share: requests through a CGI process, senders that
// take their time, and the invariants of the store as seen from outside.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Connection, head } from './http.mjs';
import { binary, filesBelow } from './server.mjs';
import * as sqlite from './sqlite.mjs';
import { sleep, waitFor } from './wait.mjs';

export const everything = { 'access.anonymous': 'upload download list delete' };
export const fast = { ...everything, 'storage.durability': 'process' };
export const acceptJson = ['Accept', 'application/json'];

export const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');

// Numbers in [0, 1) that a seed repeats (mulberry32).
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// The seed to use: SEED from the environment, else a new one.
export const seedOf = () => Number(process.env.SEED ?? crypto.randomInt(2 ** 31));

// The bytes of a form. parts: [{name, value}] or [{name, filename, data}].
export function multipart(parts, boundary = 'slipway-e2e-boundary') {
  const pieces = parts.flatMap(({ name, value, filename, data }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    return [
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`,
      data ?? value, '\r\n',
    ];
  });
  pieces.push(`--${boundary}--\r\n`);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
  };
}

function parseCgi(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  assert.ok(end >= 0, `not a CGI response: ${bytes.subarray(0, 200)}`);
  const headers = new Map(bytes.subarray(0, end).toString('latin1').split('\r\n').map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const status = parseInt(headers.get('status') ?? '200', 10);
  return { status, headers, body: bytes.subarray(end + 4) };
}

// Starts slipway as a CGI program. stdin is the caller's to write and to end;
// done resolves with the answer, as {status, headers, body, code, stderr}.
export function startCgi(ini, {
  method = 'GET', path: target, headers = [], length, argv = [], bin = binary, env: more = {},
}) {
  const [info, query = ''] = target.split('?');
  const env = {
    PATH: process.env.PATH, SLIPWAY_CONFIG: ini, GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1', REQUEST_METHOD: method, SCRIPT_NAME: '/cgi-bin/slipway',
    PATH_INFO: decodeURIComponent(info), QUERY_STRING: query,
  };
  if (length !== undefined) env.CONTENT_LENGTH = String(length);
  for (const [name, value] of headers) {
    const key = name.toUpperCase().replaceAll('-', '_');
    env[key === 'CONTENT_TYPE' ? key : `HTTP_${key}`] = value;
  }
  const child = spawn(bin, argv, { env: { ...env, ...more } });
  const out = [];
  const err = [];
  child.stdout.on('data', (data) => out.push(data));
  child.stderr.on('data', (data) => err.push(data));
  child.stdin.on('error', () => {});
  const done = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const stderr = Buffer.concat(err).toString();
      try {
        resolve({ ...parseCgi(Buffer.concat(out)), code, stderr });
      } catch (error) {
        reject(new Error(`slipway as CGI, exit ${code}: ${stderr}`, { cause: error }));
      }
    });
  });
  return { child, stdin: child.stdin, done };
}

// One whole request to slipway as a CGI program.
export function cgi(ini, options) {
  const body = options.body === undefined ? undefined : Buffer.from(options.body);
  const run = startCgi(ini, { length: body?.length, ...options });
  run.stdin.end(body);
  return run.done;
}

// Runs a slipway command. Gives {code, stdout, stderr}.
export function command(...argv) {
  return new Promise((resolve) => {
    execFile(binary, argv, { env: { PATH: process.env.PATH } }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, stdout, stderr });
    });
  });
}

export const iniOf = (server) => path.join(server.dir, 'slipway.ini');

// An upload that goes out piece by piece. ended resolves with the answer, or
// null if the connection was closed without one.
export class Sender {
  constructor(server, { method = 'PUT', path: target, headers = [], length }) {
    const framing = length === undefined
      ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', length];
    this.chunked = length === undefined;
    this.sent = 0;
    this.connection = new Connection(server.port);
    this.connection.send(head({ method, path: target, headers: [acceptJson, ...headers, framing] }));
    this.over = false;
    this.ended = this.connection.response(method, { timeout: 120000 })
      .catch(() => null)
      .finally(() => { this.over = true; this.endedAt = Date.now(); });
  }

  async send(data) {
    const bytes = Buffer.from(data);
    this.sent += bytes.length;
    await this.connection.send(this.chunked
      ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
      : bytes);
  }

  // Sends pieces of data, one every so many milliseconds, until it is all sent
  // or the upload is over.
  async trickle(data, piece, every) {
    for (let at = 0; at < data.length && !this.over; at += piece) {
      await this.send(data.subarray(at, at + piece));
      await Promise.race([sleep(every), this.ended]);
    }
    if (this.chunked && !this.over) await this.connection.send('0\r\n\r\n');
  }

  close() {
    this.over = true;
    this.connection.close();
  }
}

// The rows of all files that are not directory uploads, in pages that fit
// the pipe to sqlite3.
export async function fileRows(server) {
  const rows = [];
  for (let last = '', page; page?.length !== 0; last = page.at(-1)?.id) {
    page = await sqlite.query(server.database, `
      SELECT id, upload, directory, state, path, name, size, lower(hex(sha256)) AS sha256
      FROM file WHERE is_directory = 0 AND id > '${last}' ORDER BY id LIMIT 1000`);
    rows.push(...page);
  }
  return rows;
}

// What the API shows. A row on its way in or out may stay while the disk has no
// room to change it; checkStore sees that none does for good.
const countRows = (server) => sqlite.value(server.database,
  "SELECT count(*) FROM file WHERE state = 'stored'");

// A picture of all that uploads leave: equal pictures, nothing stayed.
export async function picture(server) {
  return {
    uploads: fs.readdirSync(server.uploads).sort(),
    incoming: fs.readdirSync(server.incoming).sort(),
    rows: await countRows(server),
  };
}

// Throws unless the store is as it was in the picture within timeout.
export async function unchanged(server, before, timeout = 2000) {
  let now;
  const same = async () => {
    now = await picture(server);
    return JSON.stringify(now) === JSON.stringify(before);
  };
  await waitFor('nothing to stay', same, { timeout })
    .catch(() => assert.deepEqual(now, before, 'something stayed'));
}

// Makes homes that nobody holds look old, so that gc takes them at once.
export function ageHomes(server) {
  const then = new Date(Date.now() - 3600 * 1000);
  for (const name of fs.readdirSync(server.incoming)) {
    try {
      fs.utimesSync(path.join(server.incoming, name), then, then);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
}

// The unfinished resumable uploads: throws unless each has its bytes in its own
// home, at least as many as were acknowledged. Gives the names of the homes.
async function unfinishedHomes(server) {
  const rows = await sqlite.query(server.database, `
    SELECT id, home, file, received FROM upload WHERE state = 'receiving' AND resumable = 1`);
  for (const { id, home, file, received } of rows) {
    const below = path.join(server.incoming, home, file);
    const [name, ...others] = fs.readdirSync(below);
    assert.deepEqual(others, [], `upload ${id} has one file`);
    const { size } = fs.statSync(path.join(below, name));
    assert.ok(size >= received, `upload ${id} has ${size} of ${received} acknowledged bytes`);
  }
  return rows.map(({ home }) => home);
}

// Throws unless rows and files agree, contents are whole, and nothing is left
// in the middle; resumable uploads may be, where unfinished is true. No slipway
// may be at work. Gives the rows of files.
export async function checkStore(server, { unfinished = false } = {}) {
  await sqlite.integrity(server.database);
  const homes = unfinished ? await unfinishedHomes(server) : [];
  const middle = await sqlite.query(server.database, `
    SELECT 'upload' AS kind, id, state FROM upload
    WHERE state = 'publishing' OR (state = 'receiving' AND NOT (resumable AND ${unfinished}))
    UNION ALL SELECT 'file', id, state FROM file WHERE state <> 'stored'`);
  assert.deepEqual(middle, [], 'rows in the middle of something');
  assert.deepEqual(fs.readdirSync(server.incoming).sort(), homes.sort(), 'what is in incoming');
  const rows = await fileRows(server);
  assert.deepEqual(filesBelow(server.uploads), rows.map((row) => row.path).sort(),
    'files and rows differ');
  for (const row of rows) {
    const content = fs.readFileSync(path.join(server.uploads, row.path));
    assert.equal(content.length, row.size, `size of ${row.path}`);
    assert.equal(sha256(content), row.sha256, `content of ${row.path}`);
  }
  const directories = await sqlite.query(server.database, `
    SELECT id, size, count,
      (SELECT count(*) FROM file AS f WHERE f.directory = d.id) AS found,
      (SELECT coalesce(sum(size), 0) FROM file AS f WHERE f.directory = d.id) AS sum
    FROM file AS d WHERE is_directory = 1`);
  for (const row of directories) {
    assert.equal(row.count, row.found, `count of directory ${row.id}`);
    assert.equal(row.size, row.sum, `size of directory ${row.id}`);
  }
  const tops = new Set([...rows.map((row) => row.path.split('/')[0]),
    ...directories.map((row) => row.id)]);
  assert.deepEqual(fs.readdirSync(server.uploads).sort(), [...tops].sort(),
    'directories without a row');
  return rows;
}

// Throws unless answer is a problem document of this status and slug.
export function isProblem(answer, status, slug) {
  assert.ok(answer, 'no answer');
  const text = answer.body.toString();
  assert.equal(answer.status, status, text);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, text);
  const problem = JSON.parse(text);
  assert.equal(problem.type, `urn:slipway:problem:${slug}`, text);
  assert.equal(problem.status, status, text);
  assert.ok(problem.detail && problem.title && problem.request_id, text);
  return problem;
}
