// The FastCGI socket itself, spoken to without a front server: what happens
// when the other side is broken or hostile. Every case has its own bytes on
// one connection; slipway must answer it once, close, and keep nothing.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ends, keepConnection, opening, output, record, talk, type } from '../lib/fastcgi.mjs';
import { binary } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-fastcgi-'));
const socket = path.join(dir, 'socket');
let server;

before(async () => {
  fs.writeFileSync(path.join(dir, 'slipway.ini'), [
    '[storage]', 'durability = process', 'min_free_space = 0',
    '[limits]', 'max_file_size = 1M', 'max_request_size = 2M',
    '[upload]', 'idle_timeout = 2s', ''].join('\n'));
  server = spawn(binary, ['serve', '--socket', socket, '--config',
    path.join(dir, 'slipway.ini')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await waitFor('the socket', () => fs.existsSync(socket));
});

after(async () => {
  server.kill('SIGTERM');
  if (server.exitCode === null) {
    await new Promise((resolve) => { server.on('exit', resolve); });
  }
  fs.rmSync(dir, { recursive: true, force: true });
});

const put = (name, length, more = {}) => ({
  REQUEST_METHOD: 'PUT', SCRIPT_NAME: '/slipway', PATH_INFO: `/upload/${name}`,
  QUERY_STRING: '', CONTENT_LENGTH: String(length), ...more,
});
const status = { REQUEST_METHOD: 'GET', SCRIPT_NAME: '/slipway', PATH_INFO: '/status', QUERY_STRING: '' };

async function nothingStays() {
  await waitFor('incoming to be empty',
    () => fs.readdirSync(path.join(dir, 'data/incoming')).length === 0);
  assert.deepEqual(fs.readdirSync(path.join(dir, 'uploads')), []);
  assert.equal(server.exitCode, null, 'slipway is alive');
}

function forgetUploads() {
  for (const name of fs.readdirSync(path.join(dir, 'uploads'))) {
    fs.rmSync(path.join(dir, 'uploads', name), { recursive: true });
  }
}

test('an early answer on a kept connection is the only one', async () => {
  const smuggled = Buffer.concat([
    opening({ ...put('evil.txt', 4), REMOTE_USER: 'admin' }, { id: 1 }),
    record(type.stdin, 'evil'), record(type.stdin),
  ]);
  const list = await talk(socket,
    opening(put('big', 10 * 1024 * 1024), { flags: keepConnection }),
    smuggled, record(type.stdin, 'x'.repeat(1000)), (s) => s.end());
  assert.match(output(list), /^Status: 413 /);
  assert.equal(ends(list), 1);
  await nothingStays();
});

test('a kept connection is closed after a whole request', async () => {
  const list = await talk(socket, opening(status, { flags: keepConnection }),
    record(type.stdin), opening(status), record(type.stdin));
  assert.equal(output(list).match(/Status: 200/g).length, 1);
  assert.equal(ends(list), 1);
});

test('a stream that breaks off is not a complete body', async () => {
  await talk(socket, opening(put('a.txt', 10)), record(type.stdin, 'hello'), (s) => s.end());
  await nothingStays();
});

test('a stream without a length that breaks off is not complete either', async () => {
  const variables = put('a.txt', 0);
  delete variables.CONTENT_LENGTH;
  await talk(socket, opening(variables), record(type.stdin, 'hello'), (s) => s.end());
  await nothingStays();
});

test('an abort in mid-body is not a complete body', async () => {
  const list = await talk(socket, opening(put('a.txt', 10)), record(type.stdin, 'hello'),
    record(type.abort), (s) => s.end());
  assert.doesNotMatch(output(list), /Status: 201/);
  await nothingStays();
});

test('a body that ends in order but too early is refused', async () => {
  const list = await talk(socket, opening(put('a.txt', 10)), record(type.stdin, 'hello'),
    record(type.stdin));
  assert.match(output(list), /^Status: 400 [^]*problem:truncated/);
  await nothingStays();
});

test('a body that goes on after its length is refused', async () => {
  const list = await talk(socket, opening(put('a.txt', 5)), record(type.stdin, 'hello, more'),
    record(type.stdin));
  assert.match(output(list), /^Status: 400 /);
  await nothingStays();
});

test('an authorizer or filter role is refused', async () => {
  for (const role of [2, 3]) {
    const list = await talk(socket, opening(status, { role }), record(type.stdin));
    assert.doesNotMatch(output(list), /Status: 200/);
  }
});

test('bytes that are not FastCGI end their connection only', async () => {
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(4096, 255), '\x01']) {
    await talk(socket, bytes, (s) => s.end());
  }
  await nothingStays();
  const list = await talk(socket, opening(status), record(type.stdin));
  assert.match(output(list), /^Status: 200 /);
});

test('records cut into single bytes carry the same upload', async () => {
  const bytes = Buffer.concat([opening(put('slow.txt', 5, { HTTP_ACCEPT: 'application/json' })),
    record(type.stdin, 'he'), record(type.stdin, 'llo'), record(type.stdin)]);
  const list = await talk(socket, async (s) => {
    s.setNoDelay(true);
    for (const byte of bytes) {
      s.write(Buffer.from([byte]));
      await sleep(1);
    }
  });
  assert.match(output(list), /^Status: 201 [^]*2cf24dba5fb0a30e26e83b2ac5b9e29e/);
  forgetUploads();
});

test('a pause within a body is waited for', async () => {
  const list = await talk(socket, opening(put('pause.txt', 5)), record(type.stdin, 'he'),
    () => sleep(700), record(type.stdin, 'llo'), record(type.stdin));
  assert.match(output(list), /^Status: 201 /);
  forgetUploads();
});

test('a pause behind padding is waited for', async () => {
  for (const padding of [1, 7, 255]) {
    const list = await talk(socket, opening(put('padded.txt', 5)),
      record(type.stdin, 'he', { padding }), () => sleep(700),
      record(type.stdin, 'llo', { padding }), record(type.stdin));
    assert.match(output(list), /^Status: 201 /, `padding ${padding}`);
  }
  forgetUploads();
});

test('silence ends an upload', async () => {
  const list = await talk(socket, opening(put('silent.txt', 5)), record(type.stdin, 'he'));
  assert.match(output(list), /^Status: 408 [^]*idle_timeout/);
});
