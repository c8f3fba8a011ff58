// Request bodies that nginx leaves in files: the recipe at the end of
// nginx-example.conf, as it stands there. They are moved, not copied; nothing
// but what is below [server] body_files is ever taken.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import {
  acceptJson, cgi, fast, fileRows, iniOf, multipart, picture, sha256, unchanged,
} from '../lib/e2e.mjs';
import { opening, output, record, talk, type } from '../lib/fastcgi.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, binary, filesBelow, root, Server } from '../lib/server.mjs';
import { bodiesByName, servers } from '../lib/servers.mjs';

const bodies = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bodies-'));
const example = path.join(bodies, '..', `${path.basename(bodies)}.conf`);

fs.writeFileSync(example, bodiesByName(bodies));
const server = await Server.start({
  server: 'nginx', example,
  config: { ...fast, ...servers.nginx.config, 'server.body_files': bodies },
}).catch((error) => {
  fs.rmSync(bodies, { recursive: true });
  throw error;
});
if (server.account.uid !== undefined) {
  fs.chownSync(bodies, server.account.uid, server.account.gid);
}
test.after(async () => {
  await server.stop();
  fs.rmSync(bodies, { recursive: true });
  fs.rmSync(example);
});

// Bytes that slipway has written to files so far.
const written = () => server.workers().reduce((sum, pid) => {
  const [, bytes] = /^wchar: (\d+)/m.exec(fs.readFileSync(`/proc/${pid}/io`, 'utf8'));
  return sum + Number(bytes);
}, 0);

const send = (method, to, body, headers = []) => server.request({
  method, path: `${apiBase}${to}`, headers: [acceptJson, ...headers], body,
});

test('a PUT is stored without being copied', async () => {
  const body = crypto.randomBytes(8 << 20);
  const before = written();
  const answer = await send('PUT', '/upload/large.bin', body);
  assert.equal(answer.status, 201);
  const [file] = json(answer).files;
  assert.equal(file.sha256, sha256(body));
  assert.equal(file.size, body.length);
  assert.ok(written() - before < 1 << 20, `${written() - before} bytes were written`);
  const [name] = filesBelow(server.uploads).filter((one) => one.endsWith('large.bin'));
  const onDisk = path.join(server.uploads, name);
  assert.equal(sha256(fs.readFileSync(onDisk)), sha256(body));
  assert.equal(fs.statSync(onDisk).mode & 0o777, 0o644);
  const got = await server.request({ path: file.url });
  assert.equal(sha256(got.body), sha256(body));
});

test('forms, tus and empty files work all the same', async () => {
  const form = multipart([{ name: 'note', value: 'x' },
    { name: 'file', filename: 'a.txt', data: 'from a form' }]);
  const answer = await send('POST', '/upload', form.body, [['Content-Type', form.type]]);
  assert.equal(json(answer).files[0].sha256, sha256('from a form'));
  const tus = [['Tus-Resumable', '1.0.0']];
  const made = await send('POST', '/upload', '', [...tus, ['Upload-Length', '5']]);
  const patched = await server.request({
    method: 'PATCH', path: made.headers.get('location'), body: 'bytes',
    headers: [...tus, ['Upload-Offset', '0'], ['Content-Type', 'application/offset+octet-stream']],
  });
  assert.equal(patched.status, 204);
  assert.equal(json(await send('PUT', '/upload/empty', '')).files[0].size, 0);
  assert.ok((await fileRows(server)).some(({ sha256: one }) => one === sha256('bytes')));
});

test('a refused file leaves nothing, and nginx takes its own away', async () => {
  const before = await picture(server);
  const refused = await send('PUT', '/upload/..', 'never');
  assert.ok(refused.status >= 400 && refused.status < 500, `${refused.status}`);
  await unchanged(server, before);
  assert.deepEqual(filesBelow(bodies), []);
});

// A front server that names another file than one of its bodies.
async function named(file) {
  const socket = path.join(server.dir, 'slipway.sock');
  const variables = {
    REQUEST_METHOD: 'PUT', SCRIPT_NAME: '/slipway', PATH_INFO: '/upload/stolen',
    QUERY_STRING: '', CONTENT_LENGTH: '9', SLIPWAY_BODY_FILE: file,
  };
  return output(await talk(socket, opening(variables), record(type.stdin, '')));
}

test('nothing outside of the directory is taken', async (t) => {
  const before = await picture(server);
  const secret = path.join(server.dir, 'secret');
  fs.writeFileSync(secret, 'a secret!');
  const link = path.join(bodies, 'link');
  fs.symlinkSync(secret, link);
  t.after(() => fs.rmSync(link));
  for (const file of [secret, '/etc/hostname', link, bodies, `${bodies}/`,
    `${bodies}/../${path.basename(server.dir)}/secret`, 'secret', `${bodies}x/secret`]) {
    const text = await named(file);
    assert.match(text, /^Status: 503 /, `${file}: ${text}`);
    assert.ok(!text.includes(server.dir), text);
  }
  assert.equal(fs.readFileSync(secret, 'utf8'), 'a secret!');
  await unchanged(server, before);
});

test('a file of another size than the body is refused', async () => {
  const before = await picture(server);
  fs.writeFileSync(path.join(bodies, 'short'), 'short');
  if (server.account.uid !== undefined) {
    fs.chownSync(path.join(bodies, 'short'), server.account.uid, server.account.gid);
  }
  assert.match(await named(path.join(bodies, 'short')), /^Status: 400 [^]*truncated/);
  fs.rmSync(path.join(bodies, 'short'));
  await unchanged(server, before);
});

// The first step that fails has done nothing: the bytes are copied. After that
// the upload fails as a whole.
for (const [step, status] of [['first', 201], ['middle', 500], ['last', 507]]) {
  test(`moving fails at its ${step} step`, async (t) => {
    const state = new Server({ config: { ...fast, 'server.body_files': 'bodies' } });
    t.after(() => state.stop());
    const file = path.join(state.dir, 'bodies', '0000000001');
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, 'the body');
    const [library, bin] = ['fail_move.so', 'slipway'].map((name) => path.join(state.dir, name));
    execFileSync('cc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, path.join(root, 'tests/lib/fail_move.c')]);
    fs.writeFileSync(bin, `#!/bin/sh\nLD_PRELOAD=${library} FAIL_MOVE=${step} exec ${path.resolve(binary)} "$@"\n`, { mode: 0o755 });
    const answer = await cgi(iniOf(state), {
      bin, method: 'PUT', path: '/upload/x.txt', headers: [acceptJson], length: 8, env: { SLIPWAY_BODY_FILE: file },
    });
    assert.equal(answer.status, status, answer.body?.toString());
    const stored = filesBelow(state.uploads);
    assert.equal(stored.length, status === 201 ? 1 : 0, stored.join());
    assert.equal((await fileRows(state)).length, stored.length);
    for (const name of stored) assert.equal(fs.readFileSync(path.join(state.uploads, name), 'utf8'), 'the body');
    assert.deepEqual(fs.readdirSync(state.incoming), []);
  });
}
